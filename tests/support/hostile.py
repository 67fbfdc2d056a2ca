"""Bodies that nobody should send, drawn at random: the same for the same seed and number.

Each is a webhook as Telnyx writes it with a few parts replaced, left out or said twice, or its bytes damaged; or a
document that never was one. The legs, conferences and connections in them are their own, so whatever they say, it is
about nobody else's.
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tests.support.builders import (
    NOON,
    SHAPES,
    Event,
    a_call,
    a_conference,
)

MEBIBYTE = 1 << 20
DEEP = 100_000

INSTANTS = (
    *("0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00+14:00"),
    *("2199-12-31T23:59:59-12:00", "9999-12-31T23:59:59Z", "19999-01-01T00:00:00Z", "294247-01-10T04:00:54.775807Z"),
    *("2026-02-03 (BC)", "2026-02-03 (BC) 12:00:00", "infinity", "-infinity", "epoch", "now", "today", "tomorrow"),
    *("2026-02-03T12:00:00", "2026-02-03", "2026-02-03T12:00Z", "2026-02-03t12:00:00z", " 2026-02-03T12:00:00Z "),
    *("2026-06-30T23:59:60Z", "2026-02-03T24:00:00Z", "2026-02-30T12:00:00Z", "2026-02-03T25:61:61Z"),
    *("2026-02-03T12:00:00,123Z", "2026-02-03T12:00:00.123456789Z", "2026-02-03T12:00:00." + "9" * 99 + "Z"),
    *("2026-02-03T12:00:00+25:00", "2026-02-03T12:00:00-23:59", "2026-02-03T12:00:00+1:2:3", "20260203T120000Z"),
    *("2026-02-03 12:00:00 Europe/Athens", "2026-02-03 12:00:00 Nowhere/Atall", "2026-W06-2", "03.02.2026 12:00"),
    *(
        "1770120000",
        "1770120000123",
        "1770120000.5",
        "2026",
        "1970",
        "\u0968\u0966\u0968\u096c-02-03T12:00:00Z",
        "2026\u201302\u201303",
    ),
)
TEXTS = (
    *("", " ", "0", "-1", "41", "041", "0x29", "4_1", "41.5", "4e1", " 41 ", "null", "true", "NaN", "Infinity"),
    *("call.enqueued", "call.hangup", "conference.ended", "conference_participant_left", "call_bridged", ".", "_"),
    *("call." * 40, "'; drop table stored_events; --", '"', "\\", "$1", "{}", "%s", "\u202e", "\x7f", "é" * 9),
    *("hangup", "bridging-in-process", "leave", "\ufeffcall.enqueued", "\uffff", "\U0010ffff", "a\tb\r\nc"),
    *("x;=1+1", 'x|"@SUM(A1)', "long " * 60, "\x1b]0;title\x07"),
)
FRAGMENTS: tuple[bytes, ...] = (
    *(b"null", b"true", b"false", b"0", b"-0", b"-1", b"1", b"41", b"41.5", b"-41.5", b"4e1", b"1e-9", b"1e999"),
    *(b"-1e999", b"2147483647", b"2147483648", b"-2147483649", b"9223372036854775808", b"18446744073709551616"),
    *(b"9" * 400, b"0." + b"3" * 400, b"NaN", b"-Infinity", b"Infinity", b"nan", b"+1", b"01", b".5", b"0x10"),
    *(b"{}", b"[]", b"[null]", b"[[]]", b'{"":{}}', b'{"a":[1]}', b'["a",{"b":null}]', b'{"id":"x","payload":{}}'),
    *(rb'"\u0000"', rb'"a\u0000b"', rb'"\ud800"', rb'"\udc00\ud800"', rb'"\ud83d\ude00"', rb'"\ud83d"', rb'"\uD8"'),
    *(
        rb'"\x"',
        b'"\x00"',
        b'"\x01"',
        b'"\x1b[31m"',
        b'"\xff\xfe"',
        b'"\xed\xa0\x80"',
        b'"\xc0\xaf"',
        b'"\xf4\x90\x80\x80"',
    ),
    *(b"'text'", b'"unfinished', b"undefined", b"", b"/* */1", b"1,2", b"}", b"]"),
)


@dataclass(frozen=True)
class Hostile:
    """A body, and the name of what was done to make it."""

    name: str
    body: bytes


def drawn(seed: int, numbers: range) -> Iterator[Hostile]:
    """The hostile bodies of those numbers; each depends on the seed and its own number only."""
    for number in numbers:
        rng = random.Random(f"{seed}/hostile/{number}")
        name = rng.choices(list(_KINDS), [weight for weight, _ in _KINDS.values()])[0]
        yield Hostile(name, _KINDS[name][1](rng, number))


def _an_event(rng: random.Random, number: int) -> Event:
    """An event of any type and shape. Names repeat within twenty numbers, so that events meet in one entity."""
    near = number // 20
    at = NOON + timedelta(seconds=rng.randint(-90_000, 90_000))
    connection = f"hostile-connection-{near}"
    call = a_call(f"hostile-leg-{near}-{rng.randint(0, 2)}", connection=connection, at=at)
    call.initiated(at=at).queued(after=1).answered(after=3, ringing=rng.choice((None, 1))).talked(5)
    room = a_conference(f"hostile-room-{near}-{rng.randint(0, 1)}", start=at, connection=connection)
    room.created().joined("hostile-leg", 1).floor("hostile-leg", 2).recorded(1, 5).left("hostile-leg", 7).ended(8)
    event: Event = rng.choice([*call, *room])
    return event.but(event_id=f"hostile-{number}", shape=rng.choice((None, *SHAPES)), misplaced=rng.random() < 0.2)


def _fragment(rng: random.Random) -> bytes:
    """A piece of JSON, or of what only looks like it."""
    kind = rng.random()
    if kind < 0.3:
        return json.dumps(rng.choice(INSTANTS)).encode()
    if kind < 0.5:
        return json.dumps(rng.choice(TEXTS), ensure_ascii=rng.random() < 0.5).encode()
    if kind < 0.96:
        return rng.choice(FRAGMENTS)
    # The big ones are rare: each costs as much as a thousand others.
    return rng.choice(
        (
            b'"' + b"x" * (MEBIBYTE - 4096) + b'"',
            b'"' + "é".encode() * (MEBIBYTE // 3) + b'"',
            b"9" * (MEBIBYTE - 4096),
            b'{"' + b"k" * (MEBIBYTE - 4096) + b'":1}',
            b"[" + b"0," * 200_000 + b"0]",
            b"[" * DEEP + b"]" * DEEP,
            b'{"a":' * DEEP + b"1" + b"}" * DEEP,
            b"[" * DEEP,
        )
    )


def _replaced(rng: random.Random, number: int) -> bytes:
    """One to four parts, whatever they are, replaced, left out, said twice or moved elsewhere."""
    tree = json.loads(_an_event(rng, number).body())
    fragments: dict[str, bytes] = {}
    for _ in range(rng.choice((1, 1, 2, 4))):
        holder, key = rng.choice(list(_places(tree)))
        hole = f"hole-{len(fragments)}-"
        match rng.choice(("replace", "replace", "replace", "omit", "twice", "move")):
            case "replace":
                holder[key] = hole
                fragments[hole] = _fragment(rng)
            case "omit":
                del holder[key]
            case "twice":
                before = json.dumps(holder[key]).encode()
                again = b',"' + str(key).encode() + b'":' if isinstance(holder, dict) else b","
                holder[key] = hole
                pair = [before, _fragment(rng)]
                rng.shuffle(pair)
                fragments[hole] = again.join(pair)
            case "move":
                part = holder.pop(key)
                target, _ = rng.choice(list(_places(tree))) if tree else (tree, "")
                if isinstance(target, dict):
                    target[str(key)] = part
        if not tree:
            break
    body = json.dumps(tree, separators=rng.choice(((",", ":"), (", ", ": ")))).encode()
    # Later holes may be in earlier ones' fragments, never the other way round.
    for hole, fragment in fragments.items():
        body = body.replace(f'"{hole}"'.encode(), fragment)
    return body


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every part of a document, as the container that holds it and its key there."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _enveloped(rng: random.Random, number: int) -> bytes:
    """Envelopes in envelopes, around nothing, or around each other's contents."""
    event = _an_event(rng, number)
    wrapped: Any = json.loads(event.body())
    for _ in range(rng.randint(1, 3)):
        other: Any = json.loads(_an_event(rng, number).body())
        inner: Any = rng.choice((wrapped, other, None, [], [wrapped], 17, "text", {}, json.dumps(wrapped)))
        wrapped = rng.choice(
            (
                {"data": inner},
                {"metadata": {"event": inner}},
                {"webhook": inner},
                {"payload": inner},
                {**wrapped, "data": inner},
                {"event_type": event.event_type, **wrapped, "webhook": inner},
                {**other, **wrapped},
                {"data": {"metadata": {"event": inner}}, "webhook": other},
                {"metadata": inner, "webhook": inner, "data": None},
            )
        )
        if not isinstance(wrapped, dict):
            break
    return json.dumps(wrapped, separators=(",", ":")).encode()


def _cut(rng: random.Random, number: int) -> bytes:
    body = _an_event(rng, number).body()
    return body[: rng.randrange(len(body))]


def _flipped(rng: random.Random, number: int) -> bytes:
    body = bytearray(_an_event(rng, number).body())
    for _ in range(rng.randint(1, 5)):
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    return bytes(body)


def _spliced(rng: random.Random, number: int) -> bytes:
    """Bytes put in anywhere: control bytes, half characters, other documents."""
    body = _an_event(rng, number).body()
    at = rng.randrange(len(body) + 1)
    piece = rng.choice((rng.randbytes(rng.randint(1, 9)), b"\0", b"\xff", b"\xef\xbb\xbf", b"\\u0000", b"\n", body))
    return body[:at] + piece + body[at:]


def _encoded(rng: random.Random, number: int) -> bytes:
    """A good document in an encoding that JSON is not sent in."""
    text = _an_event(rng, number).body().decode()
    return rng.choice(
        (
            b"\xef\xbb\xbf" + text.encode(),
            text.encode("utf-16"),
            text.encode("utf-32-be"),
            text.replace('"', "'").encode(),
            text.replace("support", "s\u00fcpport").encode("latin-1"),
            json.dumps(text).encode(),
            text.encode().hex().encode(),
        )
    )


def _foreign(rng: random.Random, number: int) -> bytes:
    """What never was an event."""
    return rng.choice(
        (
            b"",
            b" ",
            b"\0" * 9,
            b"null",
            b"17",
            b'"text"',
            b"[]",
            b"{}",
            b"[1,2]",
            b'{"data":[]}',
            b'{"data":{}}',
            b'{"data":{"id":"x"}}',
            b"ConferenceSid=1&SequenceNumber=2&StatusCallbackEvent=conference-end&CallSid=%s",
            b"id=1&event_type=call.enqueued&occurred_at=2026-02-03T12%3A00%3A00Z",
            b"<xml><id>1</id></xml>",
            b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--",
            b"[" * DEEP,
            b"[" * DEEP + b"]" * DEEP,
            b'{"data":' * DEEP + b"1" + b"}" * DEEP,
            b'"' + b"x" * (MEBIBYTE - 2) + b'"',
            rng.randbytes(rng.randint(1, 2000)),
        )
    )


Kind = Callable[[random.Random, int], bytes]
_KINDS: dict[str, tuple[int, Kind]] = {
    "parts replaced": (60, _replaced),
    "envelopes mixed": (12, _enveloped),
    "cut short": (6, _cut),
    "bits flipped": (6, _flipped),
    "bytes put in": (6, _spliced),
    "another encoding": (4, _encoded),
    "never an event": (6, _foreign),
}
