"""Delivery that follows one API node hears of the writes of the others, before they are answered."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.clients.wire.talk import Wire
from tests.live.tools.running import HELLO, Deliver, put, secret, until, upload
from tests.postgres.databases import Databases
from tests.server import ACCOUNT, Safe, Server, make_safe, run

PROCESSES = f"/client/v4/accounts/{ACCOUNT}/nightsafe/processes"
LISTENERS = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND {}"
THE_LAST_SAID = "query ILIKE '%log_head' OR query LIKE '%pg_notify%'"


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


def test_a_write_at_either_node_is_served_when_it_is_answered(nodes: tuple[Server, Server], tmp_path: Path) -> None:
    """After a write at the node that delivery does not follow, too, the script has the new value at once.

    Both nodes list the delivery process, and that it may reseal values.
    """
    with delivering(nodes[0].safe, nodes[1], tmp_path / "delivery") as delivery:
        with Wire.to(nodes[0]) as first, Wire.to(nodes[1]) as second:
            for number in range(36):
                put(second if number % 6 == 5 else first, "worker", "TOKEN", str(number))
                assert str(number) == delivery.workers.text("worker")
            listed = [wire.ask("GET", PROCESSES).result for wire in (first, second)]
        for (process,) in listed:
            assert (listed[0][0]["name"], listed[0][0]["acted_on"]) == (process["name"], process["acted_on"])
