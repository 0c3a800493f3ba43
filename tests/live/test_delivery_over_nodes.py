"""Delivery that follows one API node hears of the writes of the others, before they are answered."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.clients.wire.talk import Wire
from tests.live.tools.running import HELLO, Deliver, put, secret, until, upload
from tests.postgres.databases import Databases
from tests.server import ACCOUNT, Safe, Server, make_safe, run

PROCESSES = f"/client/v4/accounts/{ACCOUNT}/nightsafe/processes"


@pytest.fixture
async def url(databases: Databases) -> str:
    """Return the address of a database without tables."""
    return await databases.create_empty()


@pytest.fixture
def nodes(url: str, tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    """Yield two nodes that serve one database."""
    first = make_safe(tmp_path, url=url)
    (tmp_path / "other").mkdir()
    second = replace(first, path=tmp_path / "other" / "safe")
    added = run("node", "add", "second", "--data", str(first.path), "--output", str(second.path), cwd=tmp_path)
    assert 0 == added.returncode, added.stderr
    with Server(first) as one, Server(second) as other:
        yield one, other


@contextmanager
def delivering(safe: Safe, node: Server, folder: Path) -> Iterator[Deliver]:
    """Yield a delivery process that follows a node and serves a script."""
    with Wire.to(node) as wire:
        upload(wire, "worker", HELLO, secret("TOKEN", "old"))
    with Deliver(safe, node.base_url, folder) as delivery:
        until(lambda: delivery.workers.get("worker").text == "old")
        yield delivery


def listed(node: Server) -> Any:
    """Return the delivery processes that a node lists."""
    with Wire.to(node) as wire:
        return wire.ask("GET", PROCESSES).result


def acted_on(node: Server) -> list[int]:
    """Return how far each delivery process has acted, as a node knows it."""
    return [process["acted_on"] for process in listed(node)]


def test_a_write_at_either_node_is_served_when_it_is_answered(nodes: tuple[Server, Server], tmp_path: Path) -> None:
    """After a write at the node that delivery does not follow, too, the script has the new value at once.

    Both nodes list the delivery process.
    """
    first, second = nodes
    with delivering(first.safe, second, tmp_path / "delivery") as delivery:
        with Wire.to(first) as wire, Wire.to(second) as other:
            for number in range(36):
                put(other if number % 6 == 5 else wire, "worker", "TOKEN", str(number))
                assert str(number) == delivery.workers.text("worker")
        assert [process["name"] for process in listed(first)] == [process["name"] for process in listed(second)]
        assert acted_on(first) == acted_on(second)


def test_writes_do_not_wait_for_a_delivery_process_that_was_killed(
    nodes: tuple[Server, Server], tmp_path: Path
) -> None:
    """After its kill, no node lists a delivery process, and writes go on; its successor is waited for again.

    The same holds when the node that it follows is killed together with it.
    """
    first, second = nodes
    with delivering(first.safe, second, tmp_path / "delivery") as delivery, Wire.to(first) as wire:
        delivery.kill()
        until(lambda: [] == listed(first))
        put(wire, "worker", "TOKEN", "between")
        delivery.start()
        until(lambda: delivery.workers.get("worker").text == "between")
        for number in range(6):
            put(wire, "worker", "TOKEN", str(number))
            assert str(number) == delivery.workers.text("worker")
        port = second.port
        second.kill()
        delivery.kill()
        for number in range(6):
            put(wire, "worker", "TOKEN", f"alone-{number}")
        second.start_at(port)
        delivery.start()
        until(lambda: delivery.workers.get("worker").text == "alone-5")
        put(wire, "worker", "TOKEN", "last")
        assert "last" == delivery.workers.text("worker")


async def test_delivery_goes_on_after_lost_connections(
    nodes: tuple[Server, Server], tmp_path: Path, databases: Databases, url: str
) -> None:
    """When the server ends the connections that listen, writes are answered and served, and soon waited for again."""
    first, second = nodes

    def write(wire: Wire, delivery: Deliver, turn: int) -> None:
        """Write while the connections are lost, and again when the node has heard of that write's delivery."""
        put(wire, "worker", "TOKEN", f"lost-{turn}")
        until(lambda: delivery.workers.text("worker") == f"lost-{turn}")
        until(lambda: acted_on(first) == acted_on(second))
        for number in range(3):
            put(wire, "worker", "TOKEN", f"{turn}-{number}")
            assert f"{turn}-{number}" == delivery.workers.text("worker")

    with delivering(first.safe, second, tmp_path / "delivery") as delivery, Wire.to(first) as wire:
        for turn in range(6):
            assert 2 == await databases.end_listeners(url)
            await asyncio.to_thread(write, wire, delivery, turn)
