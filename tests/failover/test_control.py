"""A control of the scenarios: each kind of broken promise is found in the real safe, by the same comparison."""

import time
from typing import Final

import pytest
from tests.failover.journal import Outcome
from tests.failover.scenario import Scenario

pytestmark = pytest.mark.failover

_OF_WRITE: Final = "b.script = '{0}' AND b.name IN ('{1}', '{2}')"
_TAMPERINGS: Final = {
    "DELETE FROM bindings b WHERE {of_write}": {"lost", "miscounted"},
    "DELETE FROM bindings b WHERE {of_write} AND b.name LIKE 'LEFT%'": {"lost", "half_done"},
    "UPDATE bindings b SET since = since - 1 WHERE {of_write} AND b.name LIKE 'LEFT%'": {"half_done"},
    """
    INSERT INTO binding_history
    SELECT b.account_id, s.id, b.since, b.name, b.since - 1, b.kind, b.shown, b.key_id, b.sealed, b.digest,
      b.stated_in, b.position FROM bindings b JOIN scripts s ON s.name = b.script WHERE {of_write}
    """: {"done_twice"},
    """
    DELETE FROM versions v USING scripts s, bindings b
    WHERE v.script_id = s.id AND s.name = b.script AND v.number = b.since AND {of_write}
    """: {"miscounted", "log"},
    "DELETE FROM audit WHERE seq = (SELECT size FROM log_head)": {"log"},
    "UPDATE audit SET entry = '{{}}' WHERE seq = (SELECT size FROM log_head)": {"log"},
}


async def test_every_broken_promise_is_found(scenario: Scenario) -> None:
    """The comparison finds a lost write, one half done, one done twice, and a log that was changed."""
    async with scenario.load("control") as load:
        await load.next_acknowledged(time.monotonic())
    assert {} == await scenario.problems(load)
    write = max(write for write, outcome in load.journal.outcomes().items() if outcome is Outcome.ACKNOWLEDGED)
    of_write = _OF_WRITE.format(write.script, *write.names)
    for tampering, kinds in _TAMPERINGS.items():
        found = await scenario.problems(load, tampering.format(of_write=of_write))
        assert kinds == set(found)
        assert {write, write.script} >= {which for kind in kinds - {"log"} for which in found[kind]}
