"""The address of Telnyx's API: over TLS, with nothing secret in it."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

TELNYX = "https://api.telnyx.com/v2"

_WHOLE = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]*)?")
_NO_ADDRESS = "one that is no host, port and path"


def checked(url: str) -> str:
    """Return the address, or Telnyx's own for an empty one. Raises ValueError, whose text repeats nothing of it."""
    if not url:
        return TELNYX
    fault = _fault(url)
    if fault is not None:
        raise ValueError(
            f"expected an address such as {TELNYX}, or http:// and a loopback address for a simulator, found {fault}: "
            "correct it, or unset it for Telnyx's own"
        )
    return url


def _fault(url: str) -> str | None:
    segments = set(url.split("/")[3:])
    rules = (
        (not re.fullmatch("[!-~]+", url), "one with spaces, control characters or letters beyond ASCII"),
        (not url.startswith(("https://", "http://")), "one that does not begin with https://"),
        ("@" in url, "one with a user or a password"),
        ("?" in url or "#" in url, "one with a ? or a #"),
        (not _WHOLE.fullmatch(url) or segments & {".", ".."}, _NO_ADDRESS),
    )
    return next((found for broken, found in rules if broken), None) or _fault_of_host(url)


def _fault_of_host(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return _NO_ADDRESS
    if not host.strip(".-") or port == 0:
        return "one without a host, or with a port that is none"
    if parts.scheme != "https" and not _is_loopback(host):
        return "http:// and a host that is not this machine"
    return None


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
