"""The port between connections and the site: it decides on a request by its head."""

from collections.abc import Awaitable
from typing import Protocol

from ingest.http.answers import Answer
from ingest.http.request import Head
from ingest.metrics import DeliveryOutcome


class AdmittedDelivery(Protocol):
    """A delivery whose head was accepted."""

    def take(self, body: bytes) -> Awaitable[Answer]:
        """Return the answer to the complete delivery."""

    def cut_off(self, outcome: DeliveryOutcome) -> None:
        """Note that its body never became complete."""


class Admission(Protocol):
    """Decides on requests."""

    def admit(self, head: Head, *, port: int) -> AdmittedDelivery | Answer | None:
        """Return the delivery that the head begins, or the answer that refuses it, or None for the application."""
