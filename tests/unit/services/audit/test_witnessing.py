"""Asking witnesses after commits: what is kept, what is asked again, and what is reported."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.stores import SIGNING_KEY, open_store

from nightsafe.audit.witness.key import WitnessKey
from nightsafe.audit.witness.state import WitnessState, origin_hash
from nightsafe.audit.witness.witness import Witness
from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.checkpoint import NoteKey, read_note
from nightsafe.merkle.cosignature import cosigners_of
from nightsafe.services.audit.transparency_log import TransparencyLog
from nightsafe.services.audit.witnessing import Witnessing
from nightsafe.services.identity.administration import create_account
from nightsafe.store.sqlite import SqliteStore


class Client:
    """A witness in this process, which can be away.

    Args:
        folder: the directory of its state.
        number: its number.
    """

    def __init__(self, folder: Path, number: int) -> None:
        folder.mkdir()
        own = WitnessKey.generate(f"witness.example/w{number}")
        self.key = own.verifier_key
        self.state = WitnessState(folder, self.key)
        self.witness = Witness(own, self.state, {}, lambda: 1_700_000_000.0)
        self.answer: tuple[int, bytes] | None = None
        self.is_away = False

    async def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """Implement `WitnessClient.add_checkpoint`."""
        if self.is_away:
            raise NightsafeError(Code.UNAVAILABLE, "it cannot be reached: Connection refused")
        if self.answer is not None:
            return self.answer
        origin = body.partition(b"\n\n")[2].partition(b"\n")[0].decode()
        self.witness.logs = {origin: [NoteKey(origin, SIGNING_KEY.public)]}
        got = await self.witness.add_checkpoint(body)
        return got.status, got.body


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """Yield a store with an entry in its log."""
    made = open_store(tmp_path / "store" / "store.db")
    await grow(made)
    yield made
    await made.close()


async def grow(store: SqliteStore) -> None:
    """Append entries to the log."""
    number = len(await store.accounts())
    await create_account(store, f"{number:032x}", f"account {number}", f"owner-{number}@example.com")


@pytest.fixture
def log(store: SqliteStore) -> TransparencyLog:
    """Return the log."""
    return TransparencyLog(store)


async def test_each_checkpoint_is_cosigned(store: SqliteStore, log: TransparencyLog, tmp_path: Path) -> None:
    """Two witnesses' cosignatures are on the newest checkpoint, and with proofs in the answer to delivery."""
    clients = [Client(tmp_path / str(number), number) for number in range(2)]
    asking = [Witnessing(store, log, client) for client in clients]
    for _ in range(3):
        for one in asking:
            await one.ask()
        assert {client.key for client in clients} == set(
            cosigners_of(await log.checkpoint(), [client.key for client in clients])
        )
        await grow(store)
    await asking[0].ask()
    proof = await log.proof(0)

    assert [1, 2] == [len(cosigners_of(one.note, [client.key for client in clients])) for one in proof.cosigned]
    assert ((), True) == (proof.cosigned[0].proof, bool(proof.cosigned[1].proof))
    assert {} == cosigners_of(proof.checkpoint, [client.key for client in clients])


async def test_a_new_process_asks_again(store: SqliteStore, log: TransparencyLog, tmp_path: Path) -> None:
    """A process that starts again learns the witness's size from its conflict, and gets a cosignature."""
    client = Client(tmp_path / "w", 1)
    await Witnessing(store, log, client).ask()
    await grow(store)
    again = TransparencyLog(store)
    await Witnessing(store, again, client).ask()

    assert client.key in cosigners_of(await again.checkpoint(), [client.key])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((404, b""), "add the log's verifier key"),
        ((403, b""), "does not trust the key"),
        ((422, b""), "put back to an older state"),
        ((409, b"0\n"), "differs from the log of the same size"),
        ((409, b"99999999\n"), "seen a larger log"),
        ((409, b"many\n"), "not one of a witness"),
        ((409, b""), "not one of a witness"),
        ((500, b"value"), "not one of a witness"),
        ((200, b""), "signed checkpoint"),
        ((200, "— other.example/w1 AAAAAAAA\n".encode()), "no cosignature by its key"),
    ],
)
async def test_other_answers_are_refused(
    store: SqliteStore, log: TransparencyLog, tmp_path: Path, answer: tuple[int, bytes], reason: str
) -> None:
    """An answer without a valid cosignature is refused with the reason, and nothing is kept."""
    client = Client(tmp_path / "w", 1)
    client.answer = answer
    with pytest.raises(NightsafeError, match=reason):
        await Witnessing(store, log, client).ask()

    assert () == (await log.proof(0)).cosigned


async def test_it_asks_after_each_commit_and_after_failures(
    store: SqliteStore, log: TransparencyLog, tmp_path: Path
) -> None:
    """In the background it asks after a commit, and again while the witness is away; the log reports both changes."""
    client, pauses = Client(tmp_path / "w", 1), list[float]()
    client.is_away = True

    async def sleep(seconds: float) -> None:
        """Let the witness come back after some pauses."""
        pauses.append(seconds)
        client.is_away = len(pauses) < 9
        await asyncio.sleep(0)

    with capture_logs() as logs:
        asking = asyncio.create_task(Witnessing(store, log, client, sleep).run())
        name = origin_hash(read_note(await log.checkpoint()).origin)
        for _ in range(2):
            async with asyncio.timeout(20):
                while (note := client.state.note(name)) is None or read_note(note).size < await size(log):
                    await asyncio.wait([asking], timeout=0.01)
            await grow(store)
        asking.cancel()

    assert [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0] == pauses
    events = [(one["event"], one.get("reason", "")) for one in logs if one["event"].startswith("witness.")]
    assert [("witness.problem", "it cannot be reached: Connection refused"), ("witness.well_again", "")] == events


async def size(log: TransparencyLog) -> int:
    """Return the size of the log."""
    return read_note(await log.checkpoint()).size
