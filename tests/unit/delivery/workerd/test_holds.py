"""Who is held apart, for how long, and what lets it in again."""

import pytest

from nightsafe.delivery.workerd.holds import Holds


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """One that the test moves."""
    return Clock()


@pytest.fixture
def holds(clock: Clock) -> Holds:
    """Nobody is held yet."""
    return Holds(10.0, 300.0, clock)


def test_each_time_for_longer(holds: Holds, clock: Clock) -> None:
    """Twice as long, up to the longest."""
    pauses = []
    for _ in range(7):
        pauses.append(holds.blame("worker", "code", "why").pause)
        clock.now += pauses[-1]

    assert [10, 20, 40, 80, 160, 300, 300] == pauses


def test_a_hold_ends(holds: Holds, clock: Clock) -> None:
    """When its time is over the script is tried again, but it is not forgotten that it is heavy."""
    holds.blame("worker", "code", "why")
    told = holds.told()
    clock.now += 10

    assert [{"script": "worker", "until": 1_010_000, "reason": "why"}] == told["holds"]
    assert ([], [("worker", "code")]) == (holds.told()["holds"], holds.told()["heavy"])
    assert {} == holds.held()


def test_the_next_version_is_let_in(holds: Holds) -> None:
    """At once, and it begins with the shortest pause; the same code is known to be heavy all the same."""
    holds.blame("worker", "code", "why")
    holds.blame("worker", "code", "why")

    assert holds.changed("worker", "code")
    assert {} == holds.held()
    assert [("worker", "code")] == holds.told()["heavy"]
    assert 10 == holds.blame("worker", "code", "why").pause
    assert holds.changed("worker", "other code")
    assert [] == holds.told()["heavy"]


def test_a_change_of_a_script_that_did_nothing(holds: Holds) -> None:
    """Is no news to anybody."""
    holds.blame("other", "code", "why")

    assert not holds.changed("worker", "code")
    assert ["other"] == list(holds.held())


def test_suspects(holds: Holds) -> None:
    """Each is alone from then on, until its next version."""
    holds.suspect(("b", "a"))
    assert ["a", "b"] == holds.told()["alone"]

    assert holds.changed("a", "code")
    assert ["b"] == holds.told()["alone"]


def test_heavy_code_is_news_once(holds: Holds) -> None:
    """Other code is news again."""
    assert [True, False, True] == [holds.weigh("worker", code) for code in ("one", "one", "two")]
