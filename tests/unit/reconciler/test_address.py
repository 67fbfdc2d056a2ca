"""The address of Telnyx's API: which are taken, and that no error repeats one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.address import TELNYX, checked


@pytest.mark.parametrize(
    "url",
    [
        "https://api.telnyx.com/v2",
        "https://proxy.example.com:8443/telnyx/v2/",
        "https://[2001:db8::1]/v2",
        *("http://127.0.0.1:8081/v2", "http://127.9.9.9/v2", "http://localhost:1/v2", "http://[::1]:8081/v2"),
    ],
)
def test_tls_anywhere_and_plain_http_on_this_machine_are_taken(url: str) -> None:
    assert checked(url) == url


def test_none_is_telnyx_itself() -> None:
    assert checked("") == TELNYX


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        *((url, "not this machine") for url in ("http://api.telnyx.com/v2", "http://127.1/v2", "http://localhost.evil/")),
        *((url, "not this machine") for url in ("http://0.0.0.0/v2", "http://10.0.0.1/v2", "http://127.0.0.1.evil/")),
        ("https://user:CANARY@api.telnyx.com/v2", "a user or a password"),
        ("https://CANARY@api.telnyx.com/v2", "a user or a password"),
        ("http://127.0.0.1:80@evil.example/CANARY", "a user or a password"),
        ("https://api.telnyx.com/v2?key=CANARY", "a ? or a #"),
        ("https://api.telnyx.com/v2#CANARY", "a ? or a #"),
        *((url, "does not begin with https://") for url in ("api.telnyx.com/v2", "ftp://CANARY/", "file:///etc/CANARY")),
        *((url, "no host, port and path") for url in ("https:///v2", "https://", "https://a:port/v2", "https://[::1")),
        *((url, "no host, port and path") for url in (r"https://a\b/v2", "https://a/%2e%2e/v2", "https://a/../v2")),
        *((url, "with a port that is none") for url in ("https://a:0/v2", "https://./v2")),
        ("https://a:99999/v2", "no host, port and path"),
        *((url, "control characters") for url in ("https://a/v2\n", " https://a/v2", "https://ä.example/v2", "https://a/\x1b")),
    ],
)  # fmt: skip
def test_whatever_else_is_refused_with_what_was_expected(url: str, fault: str) -> None:
    with pytest.raises(ValueError, match="expected an address such as https://api") as caught:
        checked(url)
    assert fault in str(caught.value)
    assert "CANARY" not in str(caught.value)


@given(st.text(alphabet="htps:/@?#.%[]\\a0 \n\x1b", max_size=30).map(lambda text: "https://" + text))
def test_what_is_taken_is_a_host_and_nothing_that_could_be_another(url: str) -> None:
    try:
        taken = checked(url)
    except ValueError:
        return
    assert taken == url
    assert not set("@?#\\% \n\x1b") & set(taken)
