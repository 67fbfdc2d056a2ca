"""`/asyncapi`: which topics there are on Kafka and what is in them."""

from functools import cache
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from holdtime import event_log
from holdtime.settings import Settings

if TYPE_CHECKING:
    from faststream.specification import Specification

ELSEWHERE = ("kafka.example:9092",)
"""What stands for the cluster's address where the log is a file: the topics are the same wherever they are."""


class Topics:
    """The pages, made when somebody first asks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._document = cache(self._specified)

    def page(self, _: Request) -> Response:
        """FastStream's page, which fetches the program that draws it from a public address; the document does not."""
        from faststream.specification.asyncapi.site import get_asyncapi_html  # noqa: PLC0415 - dear, and rarely asked

        return HTMLResponse(get_asyncapi_html(self._document(), try_it_out_path=None))

    def document(self, _: Request) -> Response:
        """The AsyncAPI document, for programs and for pages without a network."""
        return Response(self._document().to_json(), media_type="application/json")

    def _specified(self) -> "Specification":
        from ingest.kafka_connection import Connection  # noqa: PLC0415 - as above
        from processors.fact_stream import specification  # noqa: PLC0415 - as above

        if self._settings.environment.log_is_kafka:
            return specification(event_log.connection_of(self._settings)).to_specification()
        return specification(Connection(ELSEWHERE)).to_specification()
