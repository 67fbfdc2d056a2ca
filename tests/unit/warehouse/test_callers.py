"""Whom a text in place of a number means: the same person in every spelling, and nobody where nobody can be called."""

import duckdb
import pytest

from warehouse.catalog import describe
from warehouse.database import create_tables
from warehouse.scripts import CALLERS

KEYS = str.maketrans("abcdefghijklmnopqrstuvwxyz", "22233344455566677778889999")


def meant(told: str | None) -> str | None:
    with duckdb.connect() as db:
        query = f"with spellings as (select ?::varchar as spelling), {CALLERS} select caller from callers"
        ((caller,),) = db.execute(query, [told]).fetchall()
    return None if caller is None else str(caller)


@pytest.mark.parametrize(
    "told",
    [
        "+12025550143",
        "12025550143",
        "0012025550143",
        "+0012025550143",
        "+1 (202) 555-0143",
        "+1.202.555.0143",
        " +1\N{NO-BREAK SPACE}202\N{NON-BREAKING HYPHEN}555\N{EN DASH}0143\n",
        "\N{RIGHT-TO-LEFT OVERRIDE}+12025550143",
        "tel:+1-202-555-0143",
        "tel:+1-202-555-0143;ext=22",
        "+1 202 555 0143 x22",
        "+12025550143 ext. 22",
        "+12025550143,22",
        "sip:+12025550143@sip.example.com",
        "SIPS:12025550143@192.0.2.7:5061;transport=tls?x=y",
        "\"Ann '=1+1' <b>\" <sip:%2B12025550143@sip.example.com;user=phone>",
    ],
)
def test_one_number_is_one_person_in_every_spelling(told: str) -> None:
    assert meant(told) == "+12025550143"


@pytest.mark.parametrize(
    ("told", "caller"),
    [
        ("+44 (0)20 7946 0123", "+442079460123"),
        ("+112", "+112"),
        # Spelt as at home, it is somebody: but who, only a country could tell.
        ("020 7946 0123", "02079460123"),
        ("sip:ann@example.com", "ann@example.com"),
        ("<SIP:Ann@Example.com:5060;transport=udp>", "ann@example.com"),
        ("ann22@example.com", "ann22@example.com"),
        ("sip:ann@[2001:db8::7]:5060", "ann@[2001:db8::7]"),
        ("sip:private.eye@example.com", "private.eye@example.com"),
    ],
)
def test_what_has_no_other_spelling_stands_for_itself(told: str, caller: str) -> None:
    assert meant(told) == caller


def test_an_extension_is_somebody_else_at_every_host() -> None:
    assert meant("sip:101@one.example.com") != meant("sip:101@two.example.com")


@pytest.mark.parametrize(
    "told",
    [
        None,
        "",
        " ",
        "+",
        "-",
        "<>",
        "0",
        "00",
        "+0",
        "+1",
        "+12",
        "0000000000",
        "+10000000000",
        "+1234567890123456",
        "anonymous",
        "ANONYMOUS",
        "+Anonymous",
        " a n o n y m o u s ",
        "Private Number",
        "No Caller ID",
        "N/A",
        "asserted",
        "Unavailable",
        "<script>alert(1)</script>",
        "sip:anonymous@anonymous.invalid",
        "sip:unavailable@unknown.invalid:5060",
        '"Anonymous" <sip:Anonymous@192.0.2.7>',
        "sip:restricted@restricted",
        "sip:UNKNOWN@example.com;transport=udp",
        "sip:private-number@example.com",
        "sip:unknown_caller@example.com",
        "sip:@example.com",
        "tel:anonymous",
        "+464",
    ],
)
def test_who_cannot_be_called_is_nobody(told: str | None) -> None:
    assert meant(told) is None


@pytest.mark.parametrize(
    "word",
    ["anonymous", "restricted", "unknown", "unavailable", "private", "blocked", "withheld", "asserted", "hidden"],
)
@pytest.mark.parametrize("spelt", ["{}", "+{}", "+1{}", "00{}", "sip:+{}@example.com"])
def test_a_word_typed_on_a_keypad_is_nobody(word: str, spelt: str) -> None:
    assert meant(spelt.format(word.translate(KEYS))) is None


def test_the_view_of_those_who_gave_up_says_whom_each_number_means() -> None:
    with duckdb.connect() as db:
        create_tables(db)
        describe(db)
        db.execute(
            """
            insert into queue_visits (visit_id, from_number, outcome, revision, entity, entity_since)
            select n, number, outcome, 1, n, timestamptz '2026-03-02 12:00:00+00'
            from (
                values
                    ('1', '12025550143', 'abandoned'),
                    ('2', 'tel:+1-202-555-0143', 'abandoned'),
                    ('3', 'Restricted', 'abandoned'),
                    ('4', null, 'abandoned'),
                    ('5', '+12025550144', 'answered')
            ) as told (n, number, outcome)
            """
        )
        found = db.execute("select visit_id, from_number, caller from abandoned_calls order by visit_id").fetchall()
    assert found == [
        ("1", "12025550143", "+12025550143"),
        ("2", "tel:+1-202-555-0143", "+12025550143"),
        ("3", "Restricted", None),
        ("4", None, None),
    ]
