"""When a processor counts as stuck."""

from datetime import timedelta

from holdtime.service.watchdog import SHORT_LOOKS, Watchdog


def stuck(*seen: tuple[int, int, float] | None) -> list[bool]:
    """What a watchdog with a minute's patience says of (landed, lag, seconds); None: the log could not be asked."""
    watchdog = Watchdog(timedelta(minutes=1))
    said = []
    for look in seen:
        if look is None:
            watchdog.reset()
        else:
            said.append(watchdog.is_stuck(*look))
    return said


def test_a_position_that_stands_still_while_the_lag_grows_is_stuck_once_patience_is_over() -> None:
    assert stuck((5, 10, 0), (5, 20, 59), (5, 30, 61)) == [False, False, True]


def test_landing_a_single_record_begins_patience_anew() -> None:
    assert stuck((5, 10, 0), (6, 20, 59), (6, 30, 61), (6, 40, 120)) == [False, False, False, True]


def test_nothing_to_land_and_a_lag_that_does_not_grow_are_no_fault() -> None:
    assert stuck((5, 0, 0), (5, 0, 1000), (5, 3, 2000), (5, 3, 3000)) == [False] * 4


def test_a_log_that_could_not_be_asked_begins_patience_anew() -> None:
    assert stuck((5, 10, 0), None, (5, 20, 61), (5, 30, 62)) == [False, False, False]


def test_whoever_publishes_is_excused_and_gets_all_the_patience_again_afterwards() -> None:
    watchdog = Watchdog(timedelta(minutes=1))
    seen = [(5, 10, 0, False), (5, 20, 59, True), (5, 30, 61, True), (5, 40, 90, False), (5, 50, 149, False)]
    assert not any(watchdog.is_stuck(landed, lag, at, publishing=busy) for landed, lag, at, busy in seen)
    assert watchdog.is_stuck(5, 60, 151)


def test_a_log_that_ends_before_what_landed_for_several_looks_in_a_row_has_lost_it() -> None:
    watchdog = Watchdog()
    almost = [[3]] * (SHORT_LOOKS - 1)
    assert not any(watchdog.has_lost(short) for short in [*almost, [], *almost])
    assert watchdog.has_lost([3])
