"""`/asyncapi`: which topics there are on Kafka and what is in them."""

from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from holdtime.config.settings import Settings
from holdtime.service import event_log

if TYPE_CHECKING:
    from faststream.specification import Specification

ELSEWHERE = ("kafka.example:9092",)
"""The cluster's address in the document where the log is a file: the topics are the same there."""


class Topics:
    """The pages, made when somebody first asks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._document = cache(self._specified)

    def page(self, _: Request) -> Response:
        """The document for people, drawn here: a page that fetches nothing works, and tells nobody that it is read."""
        return HTMLResponse(_page(self._document().to_jsonable()), headers={"Content-Security-Policy": _POLICY})

    def document(self, _: Request) -> Response:
        """The AsyncAPI document, for programs."""
        return Response(self._document().to_json(), media_type="application/json")

    def _specified(self) -> "Specification":
        from eventlog.kafka.connection import Connection  # noqa: PLC0415 - as above
        from processors.outbox.fact_stream import specification  # noqa: PLC0415 - as above

        if self._settings.environment.log_is_kafka:
            return specification(event_log.connection_of(self._settings)).to_specification()
        return specification(Connection(ELSEWHERE)).to_specification()


_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

_HEAD = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Topics</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { border-top: 1px solid #8886; padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top }
:root { color-scheme: light dark }
</style>
<h1>Topics</h1>
<p>The same for programs: <a href="/asyncapi.json">asyncapi.json</a>, an AsyncAPI document.</p>
"""


def _page(document: dict[str, Any]) -> str:
    channels = sorted(document["channels"].items(), key=lambda channel: str(channel[1]["address"]))
    return _HEAD + "".join(_section(document, name, channel) for name, channel in channels)


def _section(document: dict[str, Any], name: str, channel: dict[str, Any]) -> str:
    """One topic: what it is, and, where its records are JSON, their fields."""
    schema = document["components"]["schemas"].get(name, {})
    rows = "".join(
        f"<tr><td>{escape(field)}<td>{escape(_type(said))}<td>{escape(said.get('description', ''))}"
        for field, said in schema.get("properties", {}).items()
    )
    table = f"<table><tr><th>field<th>type<th>meaning{rows}</table>" if rows else ""
    return f"<h2>{escape(channel['address'])}</h2><p>{escape(channel.get('description', ''))}</p>{table}\n"


def _type(said: dict[str, Any]) -> str:
    return " or ".join(str(each.get("type", "")) for each in said.get("anyOf", [said]))
