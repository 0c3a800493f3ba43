"""Recording refusals and reads: bounded, never in the way, and complete after an orderly end."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.stores import open_store

from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.grants import Grants
from nightsafe.identity.permissions import ALL_ACCESS
from nightsafe.identity.policy import ACCOUNT_RESOURCE, allow_policy
from nightsafe.identity.service import Principal
from nightsafe.services.audit import recorder
from nightsafe.services.audit.recorder import Recorder
from nightsafe.services.caller import Caller
from nightsafe.services.identity.administration import create_account
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.scripts import ScriptRef
from nightsafe.store.sqlite import SqliteStore

ACCOUNT, OTHER, USER = "a" * 32, "b" * 32, "c" * 32
REF = ScriptRef(ACCOUNT, "worker")
GRANTS = Grants([allow_policy(ACCOUNT_RESOURCE + ACCOUNT, ALL_ACCESS, scripts=["other"])])
PRINCIPAL = Principal(kind="token", id="t", user_id=USER, email="a@example.com", grants=GRANTS, name="ci")


def caller(permission: str = "secrets.write", principal: Principal = PRINCIPAL) -> Caller:
    """Return a caller that asks to do something."""
    path = f"/client/v4/accounts/{ACCOUNT}/workers/scripts/worker/secrets"
    return Caller(principal, address="192.0.2.7", permission=permission, method="PUT", path=path, user_agent=b"curl")


class FailingStore:
    """A store whose commits fail on demand.

    Attributes:
        error: what every commit raises, or None.
        tried: set by each failure.
        counted: set when an entry with a number of refusals is written.
    """

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.error: NightsafeError | None = None
        self.tried = asyncio.Event()
        self.counted = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        """Return a method of the store."""
        return getattr(self.store, name)

    async def commit(self, change: Change) -> Outcome:
        """Commit, or fail."""
        if self.error is not None:
            self.tried.set()
            raise self.error
        outcome = await self.store.commit(change)
        if b'"repeated"' in change.audit.entry:
            self.counted.set()
        return outcome


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FailingStore]:
    """Yield a store with two accounts."""
    store = open_store(tmp_path / "safe" / "store.db")
    for account_id in (ACCOUNT, OTHER):
        await create_account(store, account_id, "an account", f"{account_id[0]}@example.com")
    yield FailingStore(store)
    await store.close()


def recording(store: FailingStore, *, reads: bool = False) -> Recorder:
    """Return a recorder on a store."""
    return Recorder(store, reads=reads)


async def logged(store: FailingStore, account_id: str = ACCOUNT) -> list[dict[str, Any]]:
    """Return the entries of requests that changed nothing, oldest first."""
    entries = [json.loads(entry.entry) for _, entry in await store.audit_entries(account_id, 0, 10_000)]
    return [entry for entry in entries if "outcome" in entry]


async def test_a_refusal_has_every_fact(store: FailingStore) -> None:
    """The entry of a refusal names the caller, the request, the script, the permission, the status and the reason."""
    recorder = recording(store)
    await recorder.refused(caller(), REF, 403, Code.NOT_PERMITTED)
    await recorder.close()
    (entry,) = await logged(store)

    assert entry.pop("at") > 0
    assert {
        "account_id": ACCOUNT, "action": "secrets.write", "actor": "t", "actor_kind": "token", "address": "192.0.2.7",
        "agent": "curl", "email": "a@example.com", "method": "PUT", "outcome": "refused",
        "permission": "secrets.write", "reason": "not_permitted", "script": "worker", "status": 403, "token": "ci",
        "uri": "workers/scripts/worker/secrets", "user": USER,
    } == entry  # fmt: skip


async def test_the_entry_of_a_refusal_has_a_bounded_size(store: FailingStore) -> None:
    """A refused request with endless names, paths and client names leaves a short entry."""
    long = "x" * 100_000
    by = Caller(PRINCIPAL, permission="secrets.write", method="PUT", path=f"/{long}", user_agent=long.encode())
    recorder = recording(store)
    await recorder.refused(by, ScriptRef(ACCOUNT, long, long), 403, Code.NOT_PERMITTED)
    await recorder.close()
    ((_, entry),) = (await store.audit_entries(ACCOUNT, 0, 100))[-1:]

    assert 2000 > len(entry.entry)


async def test_refusals_beyond_ten_a_minute_are_counted(store: FailingStore) -> None:
    """Ten refusals of one token and action in a minute have an entry each; one more entry has the number of the rest.

    Other actions have their own ten.
    """
    recorder = recording(store)
    for _ in range(25):
        await recorder.refused(caller(), REF, 403, Code.NOT_PERMITTED)
    await recorder.refused(caller("scripts.read"), REF, 403, Code.NOT_PERMITTED)
    recorder.end_minutes()
    await recorder.refused(caller(), REF, 403, Code.NOT_PERMITTED)
    await recorder.close()
    entries = await logged(store)

    assert [*[0] * 10, 0, 15, 0] == [entry.get("repeated", 0) for entry in entries]
    assert ["secrets.write"] * 10 + ["scripts.read"] + ["secrets.write"] * 2 == [entry["action"] for entry in entries]


async def test_the_minute_ends_by_itself(store: FailingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the minute is over, the number of further refusals is written without another request."""
    monkeypatch.setattr(recorder, "_MINUTE", 0.0)
    made = recording(store)
    for _ in range(12):
        await made.refused(caller(), REF, 403, Code.NOT_PERMITTED)  # the loop does not run in between
    await store.counted.wait()

    assert [*[0] * 10, 2] == [entry.get("repeated", 0) for entry in await logged(store)]
    assert {} == made._windows
    await made.close()


@pytest.mark.parametrize("there", [OTHER, "d" * 32], ids=["exists", "absent"])
async def test_a_refused_outsider_is_in_its_own_log(store: FailingStore, there: str) -> None:
    """A caller without any permission in the account, whether it exists or not, leaves no entry there."""
    made = recording(store)
    of_account = Principal(
        kind="account_token", id="u", user_id=USER, email="a@example.com", grants=GRANTS, account_id=ACCOUNT
    )
    await made.refused(caller(), ScriptRef(there, "worker"), 403, Code.NOT_PERMITTED)
    await made.refused(caller(principal=of_account), ScriptRef(there, "worker"), 403, Code.NOT_PERMITTED)
    await made.close()

    assert [] == await logged(store, there)
    assert [USER] == [entry["user"] for entry in await logged(store, "")]
    assert ["u"] == [entry["actor"] for entry in await logged(store, ACCOUNT)]


async def test_a_full_disk_delays_entries_and_no_request(
    store: FailingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the disk is full, refusals and reads do not wait; their entries follow when it has room."""
    monkeypatch.setattr(recorder, "_RETRY_SECONDS", 0.0)
    store.error = NightsafeError(Code.DISK_FULL)
    made = recording(store, reads=True)
    await made.refused(caller(), REF, 403, Code.NOT_PERMITTED)
    await made.viewed(caller("secrets.read"), REF, "KEY")
    await store.tried.wait()
    assert [] == await logged(store)
    store.error = None
    await made.close()

    assert ["refused", "viewed"] == [entry["outcome"] for entry in await logged(store)]
    assert 0 == made.lost


async def test_what_cannot_be_written_at_the_end_is_counted_in_the_log(store: FailingStore) -> None:
    """If the disk is still full when the server ends, the server's log has the number of lost entries."""
    store.error = NightsafeError(Code.DISK_FULL)
    made = recording(store)
    for _ in range(25):
        await made.refused(caller(), REF, 403, Code.NOT_PERMITTED)
    with capture_logs() as lines:
        await made.close()

    assert 11 == made.lost
    assert {"event": "audit.lost", "log_level": "error", "entries": 11} in lines


async def test_memory_is_bounded_while_nothing_can_be_written(
    store: FailingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit, entries are lost and counted, and no request waits for the disk."""
    monkeypatch.setattr(recorder, "MAX_WAITING", 20)
    monkeypatch.setattr(recorder, "_SLOW", 5)
    store.error = NightsafeError(Code.DISK_FULL)
    made = recording(store, reads=True)
    await made.viewed(caller("secrets.read"), REF)
    await store.tried.wait()
    for _ in range(100):
        await made.viewed(caller("secrets.read"), REF)

    assert 20 >= len(made._waiting)
    assert 81 <= made.lost
    await made.close()


async def test_a_change_with_an_unknown_outcome_is_not_repeated(store: FailingStore) -> None:
    """An entry that may have been written is not written again; it counts as lost."""
    store.error = NightsafeError(Code.OUTCOME_UNKNOWN)
    made = recording(store)
    await made.refused(caller(), REF, 403, Code.NOT_PERMITTED)
    await made.close()

    assert 1 == made.lost


async def test_reads_wait_for_a_slow_disk(store: FailingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """When reads come faster than their entries can be written, they wait, and no entry is lost."""
    monkeypatch.setattr(recorder, "_SLOW", 10)
    monkeypatch.setattr(recorder, "MAX_WAITING", 40)
    made = recording(store, reads=True)
    for _ in range(500):
        await made.viewed(caller("secrets.read"), REF)
    await made.close()

    assert 500 == len(await logged(store))
    assert 0 == made.lost
