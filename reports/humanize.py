"""Values in words, as people read them: 81.9 %, 41 s, 3:05, 2026-10-25 01:30. Null is a dash."""

import re
import unicodedata
from datetime import datetime
from hashlib import blake2b
from typing import Any
from zoneinfo import ZoneInfo

MAX_NAME = 256
"""Characters of a name. Telnyx's own are shorter; one of a mebibyte in every row would make a report of any size."""

DASH = "–"  # noqa: RUF001 -- an en dash, as typeset tables use
_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp", "Co"}
_JOINERS = "\u200c\u200d"
# Blocks that hold what is pictographic; Python knows no such property.
_EMOJI = re.compile(
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u21aa\u2300-\u23ff\u24c2\u25aa-\u27bf\u2934\u2935\u2b05-\u2b55"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
)
_EMOJI_ENDS = re.compile(rf"{_EMOJI.pattern}\ufe0f?\Z")
_FLAG = re.compile("\U0001f3f4[\U000e0061-\U000e007a]{2}[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,4}\U000e007f")


def plain(text: str) -> str:
    r"""Return text from outside with everything invisible spelt out that people do not write: `\x1b`, `\u202e`.

    Control characters could drive a terminal, bidirectional ones could reorder what stands around them. A joiner, or
    what keeps letters from joining, is text between two letters (Persian and most scripts of India need them) or two
    emoji, and so are the tags of a flag. Source: Unicode Standard, section 23.2; UTS 51, ED-14a and ED-16.
    """
    if text.isascii() and text.isprintable():
        return text
    flags = {at for flag in _FLAG.finditer(text) for at in range(*flag.span())}
    return "".join(
        _spelt(char)
        if unicodedata.category(char) in _INVISIBLE and at not in flags and not (char in _JOINERS and _joins(text, at))
        else char
        for at, char in enumerate(text)
    )


def _joins(text: str, at: int) -> bool:
    """Return whether what is there stands between two letters, with the marks on them, or between two emoji."""
    before, after = text[max(0, at - 1) : at], text[at + 1 : at + 2]
    if not before or not after:
        return False
    if unicodedata.category(after)[0] in "LM":
        return unicodedata.category(before)[0] in "LM"
    return _EMOJI.fullmatch(after) is not None and _EMOJI_ENDS.search(text, max(0, at - 2), at) is not None


def cut(text: str, most: int = MAX_NAME) -> str:
    """Return a text of at most so many characters. A longer one ends with its length and a digest of all of it.

    So two texts that begin alike still differ: `support, the one… [1,048,576 characters, 3f2a90c1d4]`.
    """
    if len(text) <= most:
        return text
    digest = blake2b(text.encode(errors="surrogatepass"), digest_size=5).hexdigest()
    mark = f"… [{len(text):,} characters, {digest}]"
    return text[: most - len(mark)] + mark


def cut_all(part: Any) -> Any:
    """Return a part of a document with every text in it cut; tuples become lists."""
    match part:
        case str():
            return cut(part)
        case dict():
            return {key: cut_all(each) for key, each in part.items()}
        case list() | tuple():
            return [cut_all(each) for each in part]
        case _:
            return part


def name(text: str) -> str:
    """Return a name from outside for people: cut where it is long, everything invisible spelt out."""
    return plain(cut(text))


def _spelt(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def number(value: float | None) -> str:
    """Return a count with thousands apart: 31,125. A mean of counts keeps one decimal: 2.5."""
    if value is None:
        return DASH
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"


def quantity(value: float) -> str:
    """Return a number with two decimals at most, and more only where it is small: 1,200, 40.63, 0.0267, 3e-05."""
    if value and abs(value) < 0.001:
        return f"{value:.3g}"
    text = f"{value:,.2f}" if abs(value) >= 1 else f"{value:.4f}"
    return text.rstrip("0").rstrip(".")


def percent(fraction: float | None) -> str:
    """Return a fraction as a percentage with one decimal: 81.9 %."""
    return DASH if fraction is None else f"{100 * fraction:.1f} %"


def target(fraction: float) -> str:
    """Return a target as a percentage with no more decimals than it has: 80 %."""
    return f"{100 * fraction:g} %"


def duration(ms: float | None) -> str:
    """Return milliseconds as 0.4 s, 41 s, 3:05 or 1:02:03."""
    if ms is None:
        return DASH
    if ms < 9_950 and ms % 1000:
        return f"{ms / 1000:.1f} s"
    secs = round(ms / 1000)
    if secs < 60:
        return f"{secs} s"
    minutes, secs = divmod(secs, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{secs:02}" if hours else f"{minutes}:{secs:02}"


def age(ms: float) -> str:
    """Return how long ago something was, in words: 41 s, 3 min, 5 h, 12 d."""
    secs = max(0, round(ms / 1000))
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if secs >= 2 * length:
            return f"{secs // length} {unit}"
    return f"{secs} s"


def seconds(secs: float) -> str:
    """Return a threshold in seconds: 20 s, 2.5 s."""
    return f"{secs:g} s"


def moment(at: datetime | None, tz: ZoneInfo) -> str:
    """Return an instant in local time to the minute, or the second if it has one.

    The offset is added where the clocks show that time twice, so that both passes of the hour can be told apart.
    """
    if at is None:
        return DASH
    local = at.astimezone(tz)
    text = local.strftime("%Y-%m-%d %H:%M:%S" if local.second or local.microsecond else "%Y-%m-%d %H:%M")
    twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    return f"{text} {local.isoformat()[-6:]}" if twice else text


def day(at: datetime | None, tz: ZoneInfo) -> str:
    """Return the local day of an instant: 2026-10-25."""
    return DASH if at is None else f"{at.astimezone(tz):%Y-%m-%d}"
