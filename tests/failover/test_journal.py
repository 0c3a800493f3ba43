"""The journal and its comparison with a safe, which must find each kind of broken promise."""

from pathlib import Path

import pytest
from tests.failover.journal import Findings, Journal, Outcome, Write, compare

WRITE = Write("worker", 7)
LEFT, RIGHT = ((WRITE.script, name) for name in WRITE.names)
KEPT = Findings([], [], [], [])


def test_a_write_without_an_answer_is_unknown(tmp_path: Path) -> None:
    """A write is in the journal before it is sent, so a client that dies leaves no write out."""
    journal = Journal(tmp_path / "journal")
    journal.sent(WRITE)
    assert {WRITE: Outcome.UNKNOWN} == journal.outcomes()
    journal.answered(WRITE, Outcome.ACKNOWLEDGED)
    assert {WRITE: Outcome.ACKNOWLEDGED} == journal.outcomes()
    journal.close()


@pytest.mark.parametrize("outcome", [Outcome.ACKNOWLEDGED, Outcome.UNKNOWN])
def test_a_write_that_is_there_once_is_right(outcome: Outcome) -> None:
    """A write that is there once, as a whole, agrees with an acknowledgement, and with no answer."""
    assert KEPT == compare({WRITE: outcome}, {LEFT: [3], RIGHT: [3]})


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.UNKNOWN])
def test_a_write_that_is_not_there_is_right(outcome: Outcome) -> None:
    """A write that is not there agrees with a refusal, and with no answer."""
    assert KEPT == compare({WRITE: outcome}, {})


def test_a_lost_write_is_found() -> None:
    """An acknowledged write that is not there is lost."""
    assert [WRITE] == compare({WRITE: Outcome.ACKNOWLEDGED}, {}).lost


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_half_done_write_is_found(outcome: Outcome) -> None:
    """A write with one of its two secrets is half done, and so is one whose secrets have different versions."""
    assert [WRITE] == compare({WRITE: outcome}, {LEFT: [3]}).half_done
    assert [WRITE] == compare({WRITE: outcome}, {LEFT: [3], RIGHT: [4]}).half_done


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_write_that_is_done_twice_is_found(outcome: Outcome) -> None:
    """A write whose secrets were made by two versions was done twice."""
    assert [WRITE] == compare({WRITE: outcome}, {LEFT: [3, 4], RIGHT: [3, 4]}).done_twice


def test_a_refused_write_that_is_done_is_found() -> None:
    """A write that was refused must not be there."""
    assert [WRITE] == compare({WRITE: Outcome.REFUSED}, {LEFT: [3], RIGHT: [3]}).done_although_refused
