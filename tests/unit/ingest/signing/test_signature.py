"""The signature: the same verdicts as the official SDK and as the published vectors, and no bit may change."""

import base64
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import telnyx
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey, VerifyKey

from ingest.signing.signature import (
    Distrust,
    UnusableKeyError,
    Verifier,
    is_signed_by,
    parse_keys,
)
from tests.support.deliveries import (
    EVENT,
    KEY,
    NOW_S,
    NOW_US,
    OTHER_KEY,
    signature,
)

BODIES = {
    "an event": EVENT.decode(),
    "an empty body": "",
    "other languages": '{"queue":"תמיכה","name":"Zoë 📞"}',
    "a byte order mark": "\ufeff{}",
    "a list": "[1, 2]",
    "not JSON": "hello | world\n",
    "a long body": "x" * 100_000,
}


def timestamps() -> dict[str, str]:
    """Ways to spell the time of a good delivery, as sent and signed: of now, because the SDK looks at the clock."""
    now = int(time.time())
    return {
        "now": str(now),
        "290 s ago": str(now - 290),
        "290 s ahead": str(now + 290),
        "320 s ago": str(now - 320),
        "320 s ahead": str(now + 320),
        "no time": "",
        "a fraction": f"{now}.0",
        "ISO 8601": "2026-01-01T10:00:00Z",
        "milliseconds": str(now * 1000),
        "negative": f"-{now}",
        "zero": "0",
        "hexadecimal": hex(now),
        "thirteen digits": f"000{now}",
        "a leading plus": f"+{now}",
        "a leading space": f" {now}",
        "a trailing space": f"{now} ",
        "a trailing newline": f"{now}\n",
        "underscores": f"{now:_}",
        "Arabic-Indic digits": str(now).translate({ord("0") + digit: 0x0660 + digit for digit in range(10)}),
    }


STRICTER = {
    "thirteen digits",
    "a leading plus",
    "a leading space",
    "a trailing space",
    "a trailing newline",
    "underscores",
    "Arabic-Indic digits",
}
"""Timestamps that the SDK takes and we do not. Telnyx sends plain Unix seconds."""

SIGNATURES: dict[str, Callable[[str], str]] = {
    "as it is": lambda good: good,
    "empty": lambda good: "",
    "unpadded": lambda good: good.rstrip("="),
    "with a newline after": lambda good: good + "\n",
    "with a space inside": lambda good: good[:20] + " " + good[20:],
    "with junk inside": lambda good: good[:20] + "!" + good[20:],
    "url-safe": lambda good: base64.urlsafe_b64encode(b"\xff" * 64).decode(),
    "not ASCII": lambda good: "é" + good[1:],
    "63 bytes": lambda good: base64.b64encode(base64.b64decode(good)[:63]).decode(),
    "65 bytes": lambda good: base64.b64encode(base64.b64decode(good) + b"\0").decode(),
    "all zeros": lambda good: base64.b64encode(bytes(64)).decode(),
    "of another": lambda good: base64.b64encode(OTHER_KEY.sign(b"x").signature).decode(),
    "hexadecimal": lambda good: base64.b64decode(good).hex(),
    "twice": lambda good: good + good,
}


@pytest.fixture(scope="module")
def sdk() -> Any:
    return telnyx.Telnyx(api_key="x", public_key=base64.b64encode(bytes(KEY.verify_key)).decode()).webhooks


def sdk_accepts(sdk: Any, body: str, headers: dict[str, str]) -> bool:
    try:
        sdk.unwrap(body, headers=headers)
    except json.JSONDecodeError:
        return True  # authentic, and not JSON
    except ValueError:
        return False
    return True


def we_accept(body: str, headers: dict[str, str]) -> bool:
    sent = {name.lower(): value.encode() for name, value in headers.items()}
    reason = Verifier((KEY.verify_key,)).distrust(
        body.encode(),
        signature=sent.get("telnyx-signature-ed25519"),
        timestamp=sent.get("telnyx-timestamp"),
        now_us=time.time_ns() // 1000,
    )
    return reason is None


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_verdicts_are_the_sdks_or_stricter_where_the_table_says_so(sdk: Any, body: str) -> None:
    seen_stricter = set()
    for spelling, timestamp in timestamps().items():
        for treatment, change in SIGNATURES.items():
            good = signature(body.encode(), at=timestamp.encode()).decode()
            headers = {"Telnyx-Timestamp": timestamp, "Telnyx-Signature-Ed25519": change(good)}
            ours, theirs = we_accept(body, headers), sdk_accepts(sdk, body, headers)
            if spelling in STRICTER and theirs:
                seen_stricter.add(spelling)
                assert not ours, (spelling, treatment)
            else:
                assert ours == theirs, (spelling, treatment)
    assert seen_stricter == STRICTER, "the table lists a spelling that the SDK refuses too"


def test_missing_headers_and_another_keys_signature_are_refused_as_the_sdk_does(sdk: Any) -> None:
    now = int(time.time())
    body, timestamp = EVENT.decode(), str(now)
    good = {"telnyx-timestamp": timestamp, "telnyx-signature-ed25519": signature(EVENT, at=now).decode()}
    assert we_accept(body, good)
    assert sdk_accepts(sdk, body, good)
    anothers = signature(EVENT, at=now, key=OTHER_KEY).decode()
    for headers in (
        {},
        {"telnyx-timestamp": timestamp},
        {"telnyx-signature-ed25519": good["telnyx-signature-ed25519"]},
        {**good, "telnyx-signature-ed25519": anothers},
        {**good, "telnyx-timestamp": str(now + 1)},
    ):
        assert not we_accept(body, headers)
        assert not sdk_accepts(sdk, body, headers)


def distrust(body: bytes, *, at: int = NOW_S, signer: SigningKey = KEY, verifier: Verifier | None = None) -> object:
    verifier = verifier or Verifier((KEY.verify_key,))
    sent = signature(body, at=at, key=signer)
    return verifier.distrust(body, signature=sent, timestamp=b"%d" % at, now_us=NOW_US)


@pytest.mark.parametrize("side", [-1, 1])
def test_the_tolerance_of_300_seconds_is_inclusive_on_both_sides(side: int) -> None:
    assert distrust(EVENT, at=NOW_S + side * 300) is None
    assert distrust(EVENT, at=NOW_S + side * 301) is Distrust.STALE
    short = Verifier((KEY.verify_key,), tolerance_us=10_000_000)
    assert distrust(EVENT, at=NOW_S + side * 11, verifier=short) is Distrust.STALE


def test_a_microsecond_beyond_the_tolerance_is_stale() -> None:
    sent = signature(EVENT)
    verifier = Verifier((KEY.verify_key,))
    for off_us, reason in ((300_000_000, None), (300_000_001, Distrust.STALE), (-300_000_001, Distrust.STALE)):
        now_us = NOW_US + off_us
        assert verifier.distrust(EVENT, signature=sent, timestamp=b"%d" % NOW_S, now_us=now_us) is reason


def test_an_old_forgery_is_forged_and_not_stale() -> None:
    assert distrust(EVENT, at=NOW_S - 10_000, signer=OTHER_KEY) is Distrust.FORGED
    assert distrust(EVENT, at=NOW_S - 10_000) is Distrust.STALE


def test_while_keys_rotate_either_key_is_good_and_a_third_is_not() -> None:
    verifier = Verifier((OTHER_KEY.verify_key, KEY.verify_key))
    assert distrust(EVENT, signer=KEY, verifier=verifier) is None
    assert distrust(EVENT, signer=OTHER_KEY, verifier=verifier) is None
    assert distrust(EVENT, signer=SigningKey.generate(), verifier=verifier) is Distrust.FORGED


@given(body=st.binary(max_size=300), data=st.data())
def test_any_flipped_bit_is_refused(body: bytes, data: st.DataObject) -> None:
    timestamp, verifier = b"%d" % NOW_S, Verifier((KEY.verify_key,))
    raw = base64.b64decode(signature(body))
    parts = {"body": body, "timestamp": timestamp, "signature": raw}
    name = data.draw(st.sampled_from([name for name, part in parts.items() if part]))
    at = data.draw(st.integers(0, len(parts[name]) * 8 - 1))
    flipped = bytearray(parts[name])
    flipped[at // 8] ^= 1 << at % 8
    parts[name] = bytes(flipped)

    def verdict(body: bytes, timestamp: bytes, signature: bytes) -> Distrust | None:
        return verifier.distrust(body, signature=base64.b64encode(signature), timestamp=timestamp, now_us=NOW_US)

    assert verdict(body, timestamp, raw) is None
    assert verdict(**parts) in {Distrust.FORGED, Distrust.MALFORMED}


# RFC 8032, section 7.1: secret key, public key, message, signature.
RFC_8032 = {
    "TEST 1": (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    "TEST 2": (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    "TEST 3": (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
}


@pytest.mark.parametrize(("secret", "public", "message", "expected"), RFC_8032.values(), ids=RFC_8032.keys())
def test_rfc_8032_vectors(secret: str, public: str, message: str, expected: str) -> None:
    key, said, sign = VerifyKey(bytes.fromhex(public)), bytes.fromhex(message), bytes.fromhex(expected)
    assert SigningKey(bytes.fromhex(secret)).sign(said).signature == sign
    assert is_signed_by(key, said, sign)
    assert not is_signed_by(key, said + b"\0", sign)
    assert not is_signed_by(key, said, sign[:-1])


def vectors(name: str) -> Any:
    folder = Path(os.environ.get("HOLDTIME_VECTORS", Path(__file__).resolve().parents[5] / "shared" / "vectors"))
    path = folder / name
    if not path.exists():
        reason = f"{path} is not there: set HOLDTIME_VECTORS to a folder that holds {name}; RFC 8032 ran all the same"
        with warnings.catch_warnings():
            warnings.simplefilter("always")  # seen in the summary, and not an error
            warnings.warn(reason, stacklevel=2)
        pytest.skip(reason)
    return json.loads(path.read_text())


def wycheproof_cases(groups: Any) -> Iterator[tuple[str, bytes, bytes, bytes, bool]]:
    for group in groups["testGroups"]:
        public = bytes.fromhex(group["publicKey"]["pk"])
        for test in group["tests"]:
            message, sign = bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])
            yield f"{test['tcId']} {test['comment']}", public, message, sign, test["result"] == "valid"


def test_all_wycheproof_vectors_get_their_verdict() -> None:
    cases = list(wycheproof_cases(vectors("wycheproof_ed25519_test.json")))
    wrong = [name for name, key, message, sign, ok in cases if is_signed_by(VerifyKey(key), message, sign) != ok]
    assert not wrong
    assert len(cases) == 151
    assert sum(ok for *_, ok in cases) == 88


def test_of_the_speccheck_edge_cases_only_the_one_that_pynacl_documents_is_accepted() -> None:
    cases = vectors("speccheck_cases.json")
    accepted = [
        place
        for place, case in enumerate(cases)
        if is_signed_by(
            VerifyKey(bytes.fromhex(case["pub_key"])),
            bytes.fromhex(case["message"]),
            bytes.fromhex(case["signature"]),
        )
    ]
    assert len(cases) == 12
    assert accepted == [3]


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def test_keys_are_read_in_order_with_space_around_them() -> None:
    text = f" {b64(bytes(OTHER_KEY.verify_key))} ,\n{b64(bytes(KEY.verify_key))}\n"
    assert parse_keys(text) == (OTHER_KEY.verify_key, KEY.verify_key)


GOOD = b64(bytes(KEY.verify_key))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty: copy the base64 key from Mission Control"),
        ("  \n", "is empty"),
        (f"{GOOD},", "key 2 of 2 is empty"),
        ("KEY0123456789ABCDEF_secret", "looks like an API key"),
        ("not base64!", "not base64"),
        (GOOD[:-1], "not base64"),
        (b64(bytes(31)), "should decode to 32 bytes, it has 31"),
        (b64(bytes(KEY)) + b64(bytes(KEY)), "not base64"),
        (b64(bytes(32)), "not an Ed25519 public key"),
        (b64(b"\x01" + bytes(31)), "not an Ed25519 public key"),
        (f"{GOOD},{GOOD}", "key 2 of 2 is the same as key 1"),
    ],
)
def test_an_unusable_key_is_refused_with_what_to_do_and_without_repeating_it(text: str, says: str) -> None:
    with pytest.raises(UnusableKeyError) as raised:
        parse_keys(text)
    message = str(raised.value)
    assert says in message
    for part in text.split(","):
        assert len(part) < 4 or part.strip() == "" or part not in message
