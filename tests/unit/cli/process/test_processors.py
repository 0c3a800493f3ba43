"""The shares of the processors that API processes keep to."""

import os

import pytest

from nightsafe.cli.process import processors


@pytest.mark.parametrize(
    ("available", "count", "shares"),
    [
        ({0, 1}, 2, [[0], [1]]),
        ({4, 5, 6, 7}, 2, [[4, 5], [6, 7]]),
        ({0, 1, 2}, 2, [[0], [1, 2]]),
        ({3}, 2, [[3], [3]]),
        ({0, 1}, 3, [[0], [0], [1]]),
    ],
)
def test_the_shares_are_equal(available: set[int], count: int, shares: list[list[int]]) -> None:
    """Every process has a share; together they have all processors, and none in common unless there are too few."""
    assert shares == [processors.share_of(available, index, count) for index in range(count)]


def test_a_system_that_refuses_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system does not allow it, the process uses all processors."""

    def refuse(_: int, __: object) -> None:
        """Refuse like a container without the right."""
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    processors.keep_to_share(0, 2)
