"""Many parallel writes of secrets to one script."""

from concurrent.futures import ThreadPoolExecutor

from tests.clients.tokens import in_store
from tests.clients.wire.talk import Wire
from tests.server import ACCOUNT, Server

from nightsafe.store.scripts import ScriptRef

PUTS = 1000
CONNECTIONS = 64


def test_a_thousand_parallel_puts(server: Server, wire: Wire, script: str) -> None:
    """All puts succeed, to different names and to the same, and each makes a version with its own number."""

    def put_some(first: int) -> tuple[list[int], int]:
        with Wire.to(server) as own:
            numbers = range(first, PUTS, CONNECTIONS)
            statuses = [own.put(script, f"N{number % 100:02}", f"value {number}").status for number in numbers]
            return statuses, own.connections

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        done = list(pool.map(put_some, range(CONNECTIONS)))

    assert [status for statuses, _ in done for status in statuses] == [200] * PUTS
    assert {connections for _, connections in done} == {1}
    assert wire.names(script) == [f"N{number:02}" for number in range(100)]
    versions = in_store(server.safe, lambda store: store.versions(ScriptRef(ACCOUNT, script), limit=PUTS + 2))
    assert [version.number for version in versions] == list(range(PUTS + 1, 0, -1))
    assert len({version.id for version in versions}) == PUTS + 1
