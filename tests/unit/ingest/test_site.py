"""What is served where, and under which Host."""

import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from ingest.http.answers import Answer
from ingest.metrics import HttpMetrics
from ingest.site import Site
from ingest.webhook import WebhookDelivery
from tests.support.deliveries import (
    EVENT,
    a_head,
    a_receiver,
    signed,
)

PUBLIC, ADMIN = 8080, 8081


def site(*hosts: str, admin_port: int | None = None, takes_deliveries: bool = True) -> Site:
    webhook = a_receiver().endpoint if takes_deliveries else None
    metrics = HttpMetrics(CollectorRegistry())
    paths = ("/metrics", "/status")
    return Site(webhook, Starlette(), paths=paths, metrics=metrics, hosts=hosts, admin_port=admin_port)


def asked(site: Site, path: str, *, port: int = PUBLIC, host: str | None = None) -> int | str:
    """Return the status of a refusal, or where the request goes."""
    headers = [*signed(EVENT), *([(b"host", host.encode())] if host is not None else [])]
    method = "POST" if "telnyx" in path else "GET"
    match site.admit(a_head(*headers, method=method, target=path), port=port):
        case Answer() as refusal:
            return refusal.status
        case WebhookDelivery():
            return "delivery"
    return "shell"


@pytest.mark.parametrize(
    ("path", "goes"),
    [
        ("/webhooks/telnyx", "delivery"),
        ("/webhooks/telnyx/", "delivery"),
        ("//webhooks/telnyx", "delivery"),
        ("//webhooks///telnyx//", "delivery"),
        ("/webhooks/telnyx?a=b", "delivery"),
        ("/%77ebhooks/telnyx", "delivery"),
        ("http://x/webhooks/telnyx", "delivery"),
        ("/webhooks/telnyx/x", 404),
        ("/webhooks", 404),
        ("/Webhooks/telnyx", 404),
        ("/webhooks%252ftelnyx", 404),
        ("/livez", "shell"),
        ("/metrics", "shell"),
        ("/metrics/", 404),
        ("/", 404),
    ],
)
def test_a_path_goes_to_one_place(path: str, goes: int | str) -> None:
    assert asked(site(), path) == goes


@pytest.mark.parametrize(
    ("path", "public", "admin"),
    [
        ("/webhooks/telnyx", "delivery", 404),
        ("/metrics", 404, "shell"),
        ("/readyz", "shell", "shell"),
        ("/x", 404, 404),
    ],
)
def test_with_an_admin_port_pages_are_there_only_and_webhooks_are_not(
    path: str, public: int | str, admin: int | str
) -> None:
    ours = site(admin_port=ADMIN)
    assert (asked(ours, path, port=PUBLIC), asked(ours, path, port=ADMIN)) == (public, admin)


def test_a_process_without_an_endpoint_takes_no_deliveries() -> None:
    assert asked(site(takes_deliveries=False), "/webhooks/telnyx") == 404


@pytest.mark.parametrize(
    ("host", "goes"),
    [
        ("holdtime.example", "shell"),
        ("Holdtime.Example.:8080", "shell"),
        ("127.0.0.1:8080", "shell"),
        ("[::1]:8080", "shell"),
        ("localhost", "shell"),
        ("evil.example", 421),
        ("holdtime.example.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
        (None, 421),
    ],
)
def test_pages_are_served_under_the_configured_names_and_addresses(host: str | None, goes: int | str) -> None:
    ours = site("holdtime.example")
    assert asked(ours, "/status", host=host) == goes
    assert asked(ours, "/webhooks/telnyx", host=host) == "delivery", "a 421 is final for Telnyx"
    assert asked(ours, "/livez", host=host) == "shell"
    assert asked(site(), "/status", host=host) == "shell", "no name is configured"
