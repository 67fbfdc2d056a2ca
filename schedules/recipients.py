"""Recipients: an apprise URL, or `env:NAME` for one in the environment, as those whom a summary is sent to.

A URL is a secret as a whole: most have a password or a token in them. It is in no text, no name and no error; what
names a recipient is its place in the list and the kind of service, such as `recipients 1 (mailto)`.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from apprise import Apprise, AppriseAsset, PersistentStoreMode
from apprise.plugins import NotifyBase
from apprise.plugins.email.base import NotifyEmail
from pydantic import SecretStr

_BY_NAME = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")
_ASSET = AppriseAsset(
    app_id="holdtime", app_desc="holdtime", app_url="", async_mode=False, storage_mode=PersistentStoreMode.MEMORY
)
_EXAMPLE = "an apprise URL such as mailtos://user:password@example.com, or env:NAME for one in the environment"

# What apprise and its HTTP client log is written for whoever may see the URL.
logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
logging.getLogger("urllib3").setLevel(logging.CRITICAL + 1)


class RecipientError(Exception):
    """A recipient cannot be used. The text says which one and what was expected, and nothing of its URL."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """One mail address, or one URL of another service. `key` is the same tomorrow, and no secret; so is `label`.

    The key is made of the mail address alone, so a new password of its server changes nothing; of another service it is
    made of the URL, or of the name of the variable that holds it. `first` marks the first address of a URL: copies go
    with that one.
    """

    key: str
    label: str
    url: SecretStr
    address: str | None = field(default=None, repr=False)
    first: bool = True

    def service(self) -> NotifyBase:
        """Return what sends to it: a new one, because each remembers when it last sent and then takes its time."""
        service = _service(self.url.get_secret_value())
        if service is None:
            raise RecipientError(f"{self.label}: expected {_EXAMPLE}")
        if isinstance(service, NotifyEmail):
            service.targets = [target for target in service.targets if target[1] == self.address]
            if not self.first:
                service.cc, service.bcc = set(), set()
        return service


def found(urls: Sequence[SecretStr], environ: Mapping[str, str], *, where: str) -> tuple[list[Recipient], list[str]]:
    """Return the recipients that URLs mean, and the faults in them, each with its place after `where`."""
    recipients: dict[str, Recipient] = {}
    faults = []
    for place, given in enumerate(urls, start=1):
        try:
            for recipient in _meant(given.get_secret_value(), environ, f"{where} {place}"):
                if twin := recipients.get(recipient.key):
                    raise RecipientError(f"{where} {place}: expected everybody once, {twin.label} is the same one")
                recipients[recipient.key] = recipient
        except RecipientError as error:
            faults.append(str(error))
    return list(recipients.values()), faults


def _meant(text: str, environ: Mapping[str, str], place: str) -> list[Recipient]:
    by_name = _BY_NAME.fullmatch(text)
    url = environ.get(by_name[1], "") if by_name else text
    if by_name and not url:
        raise RecipientError(
            f"{place}: expected an apprise URL in the environment variable {by_name[1]}, which is not set"
        )
    service = _service(url)
    if service is None:
        raise RecipientError(f"{place}: expected {_EXAMPLE}")
    label = f"{place} ({service.schema or service.protocol!s})"
    secret = SecretStr(url)
    if not isinstance(service, NotifyEmail):
        return [Recipient(text if by_name else _digest(url), label, secret)]
    if not service.targets:
        raise RecipientError(f"{place}: expected a mail address to send to, such as ?to=team@example.com")
    addresses = dict.fromkeys(str(address) for _, address in service.targets)
    several = len(addresses) > 1
    return [
        Recipient(
            f"mail:{_digest(address.lower())}",
            f"{label}, address {number}" if several else label,
            secret,
            address,
            first=number == 1,
        )
        for number, address in enumerate(addresses, start=1)
    ]


def _service(url: str) -> NotifyBase | None:
    service = Apprise.instantiate(url, asset=_ASSET) if url else None
    return service if isinstance(service, NotifyBase) else None


def _digest(text: str) -> str:
    # Short on purpose: enough to tell recipients apart, too little to try out passwords against.
    return blake2b(text.encode(), digest_size=5).hexdigest()
