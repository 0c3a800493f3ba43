"""Holds: which scripts are held, for how long, and what ends a hold."""

import pytest
from tests.unit.delivery.tools.clock import Clock

from nightsafe.delivery.workerd.holds import Holds


@pytest.fixture
def clock() -> Clock:
    """Return a clock that the test moves."""
    return Clock()


@pytest.fixture
def holds(clock: Clock) -> Holds:
    """Return holds without any script."""
    return Holds(10.0, 300.0, clock)


def test_each_hold_is_longer_than_the_last(holds: Holds, clock: Clock) -> None:
    """Each hold is twice as long as the one before, up to the maximum."""
    pauses = []
    for _ in range(7):
        pauses.append(holds.hold_apart("worker", "code", "why").pause)
        clock.now += pauses[-1]

    assert [10, 20, 40, 80, 160, 300, 300] == pauses


def test_a_hold_ends(holds: Holds, clock: Clock) -> None:
    """When a hold ends the script runs again, but is remembered as heavy."""
    holds.hold_apart("worker", "code", "why")
    told = holds.to_dict()
    clock.now += 10

    assert [{"script": "worker", "until": 1_010_000, "reason": "why"}] == told["holds"]
    assert ([], [("worker", "code")]) == (holds.to_dict()["holds"], holds.to_dict()["heavy"])
    assert {} == holds.current()


def test_a_new_version_ends_a_hold(holds: Holds) -> None:
    """A new version ends the hold at once and resets the pause; the same code stays known as heavy."""
    holds.hold_apart("worker", "code", "why")
    holds.hold_apart("worker", "code", "why")

    assert holds.forget_outdated("worker", "code")
    assert {} == holds.current()
    assert [("worker", "code")] == holds.to_dict()["heavy"]
    assert 10 == holds.hold_apart("worker", "code", "why").pause
    assert holds.forget_outdated("worker", "other code")
    assert [] == holds.to_dict()["heavy"]


def test_a_change_of_an_unheld_script_is_no_news(holds: Holds) -> None:
    """A change of a script that is not held changes nothing."""
    holds.hold_apart("other", "code", "why")

    assert not holds.forget_outdated("worker", "code")
    assert ["other"] == list(holds.current())


def test_a_suspect_runs_alone_until_its_next_version(holds: Holds) -> None:
    """Each suspect runs alone until its next version."""
    holds.run_alone(("b", "a"))
    assert ["a", "b"] == holds.to_dict()["alone"]

    assert holds.forget_outdated("a", "code")
    assert ["b"] == holds.to_dict()["alone"]


def test_heavy_code_is_new_only_once(holds: Holds) -> None:
    """Heavy code is new the first time only; other code is new again."""
    assert [True, False, True] == [holds.mark_heavy("worker", code) for code in ("one", "one", "two")]
