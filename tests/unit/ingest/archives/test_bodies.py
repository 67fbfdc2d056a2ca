"""Bodies out of a text: a line, several lines or an item of a list, and nothing lost where a line is broken."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.archives import bodies as splitting
from ingest.archives import json_text
from ingest.archives.bodies import Bodies
from ingest.archives.errors import ArchiveError

EVENT = b'{"data":{"id":"7","payload":{"queue":"\xd9\xbe","tags":["a","}"]}},"meta":{"attempt":1}}'
OTHER = b'{"id": "8", "record_type": "event", "event_type": "call.hangup"}'
MARK = b"\xef\xbb\xbf"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(texts.filter(lambda name: name != "data"), inner, max_size=3)
    ),
    max_leaves=8,
)
events = st.dictionaries(texts.filter(lambda name: name != "data"), values, min_size=1, max_size=3)


def split(text: bytes, size: int = 1 << 20) -> list[bytes]:
    return list(Bodies(text[at : at + size] for at in range(0, len(text), size)))


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (EVENT + b"\r\n\n" + OTHER, [EVENT, OTHER]),
        (MARK + EVENT + b"\n" + MARK + OTHER + MARK, [EVENT, OTHER]),
        (EVENT + MARK + OTHER + EVENT, [EVENT, OTHER, EVENT]),
        (b'{"data": [' + EVENT + b"," + OTHER + b'], "meta": {"total_pages": 1}}\n', [EVENT, OTHER]),
        (b'{"meta": {"data": [1]}, "data" : [ ' + EVENT + b' ]}{"data":[' + OTHER + b"]}", [EVENT, OTHER]),
        (b"[\n  " + EVENT + b",\n  " + OTHER + b"\n]\n" + OTHER, [EVENT, OTHER, OTHER]),
        (b'[{"data": [' + EVENT + b']}, {"data": []}, {"data": [' + OTHER + b"]}]", [EVENT, OTHER]),
        (b"{}\n[]\n" + EVENT, [b"{}", EVENT]),
        (b'{\n "data": {\n  "id": "9"\n }\n}\n' + OTHER, [b'{\n "data": {\n  "id": "9"\n }\n}', OTHER]),
        (b'12345\n"word"\nnull', [b"12345", b'"word"', b"null"]),
    ],
)
def test_bodies_are_the_bytes_that_are_there(text: bytes, expected: list[bytes], size: int) -> None:
    assert split(text, size) == expected


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize(
    "broken",
    [
        EVENT[:-1],
        EVENT[:9],
        EVENT[:12],
        EVENT + b" and more",
        b"not json",
        b"{\0}",
        b'{"a": "\xff\xfe"',
        b"{" * 3000,
        b'{"data": {"id": 1,',
        b'[{"a": 1}',
        b"[oops]",
    ],
)
def test_a_broken_line_is_a_body_by_itself(broken: bytes, size: int) -> None:
    found = split(EVENT + b"\n" + broken + b"\n" + OTHER + b"\n" + EVENT, size)
    assert [body for body in found if body in (EVENT, OTHER)] == [EVENT, OTHER, EVENT]


def test_a_list_of_one_line_that_breaks_off_costs_the_rest_of_that_line() -> None:
    assert split(b'{"data": [' + EVENT + b', {"id"\n' + OTHER) == [EVENT, b'{"id"', OTHER]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b'{"data": [' + EVENT + b', {"id"', 1),
        (b'{"data": [' + EVENT + b"]", 1),
        (b"[\n" + EVENT + b",\n" + OTHER, 3),
        (b"[\n" + EVENT + b",\n@\n]", 3),
    ],
)
def test_a_list_that_breaks_off_is_named_with_its_line(text: bytes, line: int) -> None:
    found = Bodies(iter([text]))
    given_out: list[bytes] = []
    with pytest.raises(ArchiveError, match="breaks off"):
        given_out.extend(found)
    assert given_out[:1] == [EVENT]
    assert found.line == line


def test_the_body_is_taken_out_of_a_delivery_that_holds_it_whole() -> None:
    whole = b'{"webhook": {"data":{"id":"7"},"meta":{}}, "id": "1"}'
    bare = b'{"webhook": {"event_type": "call.hangup", "id": "7", "data": {}}, "id": "1"}'
    event = b'{"data": {"id": "8"}, "webhook": {"data": {}}}'
    for text in (whole + bare + event, b'{"data": [' + b",".join([whole, bare, event]) + b"]}"):
        assert split(text) == [b'{"data":{"id":"7"},"meta":{}}', bare, event]


@pytest.mark.parametrize("between", [b"", b"\n"])
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_part_behind_a_plain_one_is_named(between: bytes, pack: Callable[[bytes], bytes]) -> None:
    given_out: list[bytes] = []
    with pytest.raises(ArchiveError, match="found a part that is packed as"):
        given_out.extend(Bodies(iter([OTHER, b"\n", EVENT, between, pack(EVENT)])))
    assert given_out == [OTHER, EVENT]


def test_what_cannot_be_unpacked_further_is_no_body() -> None:
    def blocks() -> Any:
        yield OTHER + b"\n" + EVENT[:30]
        raise ArchiveError("is cut off")

    given_out: list[bytes] = []
    with pytest.raises(ArchiveError, match="is cut off"):
        given_out.extend(Bodies(blocks()))
    assert given_out == [OTHER]


def test_a_body_has_a_bound_and_a_list_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitting, "BODY_BYTES", 2 * len(EVENT))
    monkeypatch.setattr(json_text, "KEPT_BYTES", 10)
    assert split(b'{"data": [' + b",".join([EVENT] * 50) + b"]}", 16) == [EVENT] * 50
    for long in (b"x" * 3 * len(EVENT), b'{"a": "' + b"x" * 3 * len(EVENT) + b'"}'):
        with pytest.raises(ArchiveError, match="found a body of more than"):
            split(OTHER + b"\n" + long, 16)


@given(st.lists(events, max_size=4), st.sampled_from([None, 1]), st.integers(1, 40), st.data())
def test_neither_layout_nor_blocks_change_what_is_found(
    given_events: list[Any], indent: int | None, size: int, data: st.DataObject
) -> None:
    ascii_only = data.draw(st.booleans())
    written = [json.dumps(event, indent=indent, ensure_ascii=ascii_only).encode() for event in given_events]
    answer = json.dumps({"data": given_events, "meta": {}}, indent=indent, ensure_ascii=ascii_only).encode()
    for text in (b"\n".join(written), b"".join(written), answer, b"[" + b" ,\n".join(written) + b"]", answer + answer):
        found = split(text, size)
        times = 2 if text == answer + answer else 1
        assert [json.loads(body) for body in found] == given_events * times
