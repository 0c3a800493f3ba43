"""`nightsafe run --workers 2`: delivery hears of the writes of both API processes."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest
from tests import workers
from tests.clients.wire.talk import SCRIPTS, Wire
from tests.live.tools.running import HELLO, Run, attempt, put, secret, until, upload
from tests.server import ACCOUNT, Safe


@pytest.fixture
def running(safe: Safe) -> Iterator[Run]:
    """Yield a run with two API processes."""
    with Run(safe, "--workers", "2") as running:
        yield running


@contextmanager
def each(running: Run) -> Iterator[list[Wire]]:
    """Yield a client of each API process."""
    with ExitStack() as stack:
        yield [stack.enter_context(workers.wire_to(running, pid)) for pid in workers.pids(running)]


def test_a_write_at_either_process_is_served_when_it_is_answered(running: Run) -> None:
    """Whichever API process answers a write, the script then has the new value, also after one was killed.

    Code that the runtime cannot load is refused by both, and both list the delivery process.
    """
    with each(running) as wires:
        upload(wires[0], "worker", HELLO, secret("TOKEN", "old"))
        for number in range(10):
            put(wires[number % 2], "worker", "TOKEN", str(number))
            assert str(number) == running.workers.text("worker")
        for number, wire in enumerate(wires):
            answer = attempt(wire, f"bad-{number}", b"export default { fetch( }")
            refused = "cannot load the script" in json.dumps(answer.envelope)
            assert (400, True) == (answer.status, refused), answer.body
        listed = [wire.ask("GET", f"/client/v4/accounts/{ACCOUNT}/nightsafe/processes").result for wire in wires]
        assert [1, 1] == [len(processes) for processes in listed]
        assert listed[0][0]["name"] == listed[1][0]["name"]


@pytest.mark.thorough
def test_delivery_goes_on_after_the_kill_of_an_api_process(running: Run) -> None:
    """After each kill of an API process, writes at the others and at its replacement are served when answered."""
    with Wire.to(running) as wire:
        upload(wire, "worker", HELLO, secret("TOKEN", "old"))
    for turn in range(4):
        victim = workers.pids(running)[0]
        workers.kill(victim)
        until(partial(workers.are_two_without, running, victim))
        with each(running) as wires:
            for number, wire in enumerate(wires):
                put(wire, "worker", "TOKEN", f"{turn}-{number}")
                assert f"{turn}-{number}" == running.workers.text("worker")
                assert ["TOKEN"] == [item["name"] for item in wire.ask("GET", f"{SCRIPTS}/worker/secrets").result]
