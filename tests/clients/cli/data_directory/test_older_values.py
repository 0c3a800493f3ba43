"""Records of the first form, each with its own signature, get their statements without being opened."""

import asyncio
from pathlib import Path

import pytest
from tests.clients.tokens import in_store
from tests.delivery.waiting import until
from tests.past_safe import Past, execute, opened, put, put_newer, served, stored_values, unpack
from tests.server import Server, run

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.proven_record import PROVEN_MAGIC
from nightsafe.sealing.record import RECORD_MAGIC
from nightsafe.services.audit import older_values
from nightsafe.services.audit.archiving import archive_change
from nightsafe.services.audit.older_values import OlderValues
from nightsafe.services.delivery.approvals import Approvals
from nightsafe.store.changes import ArchivedEntries, Change, Outcome
from nightsafe.store.interface import Store
from nightsafe.store.scripts import ScriptRef


@pytest.fixture
def past(tmp_path: Path) -> Past:
    """Return a data directory of the last schema without a log, whose schema is upgraded."""
    found = unpack("09", tmp_path)
    found.upgrade()
    return found


def forms(past: Past) -> set[bytes]:
    """Return the forms of all records."""
    return {value.record[:4] for value in stored_values(past)}


async def state_all(store: Store, past: Past) -> int:
    """State older values in this process."""
    return await OlderValues(store, DataDirectory(past.safe.path).safe()).state_all()


def test_a_server_states_them_in_the_background(past: Past) -> None:
    """A server of a safe that is older than its log states every value while it serves, without a request."""
    assert {RECORD_MAGIC} == forms(past)

    with Server(past.safe) as server:
        asyncio.run(until(lambda: '"older_values.stated"' in server.stderr.read_text()))

    assert {PROVEN_MAGIC} == forms(past)
    assert put(past) == opened(past)
    assert past.run("audit", "verify")["verified"]
    assert 0 == past.run("migrate", "--status")["older_values"]


def test_a_value_that_no_key_has_signed_is_not_stated(past: Past) -> None:
    """A changed record stays as it is, and `migrate`, `doctor` and `audit verify` name it; the others are stated."""
    execute(past, "UPDATE bindings SET sealed = CAST(sealed || x'00' AS BLOB) WHERE name = 'KEY'")
    changed = execute(past, "SELECT sealed, stated_in FROM bindings WHERE name = 'KEY'")

    done = past.run("migrate", "--yes")

    assert changed == execute(past, "SELECT sealed, stated_in FROM bindings WHERE name = 'KEY'")
    assert {RECORD_MAGIC, PROVEN_MAGIC} == forms(past)
    [named] = done["refused_values"]
    assert "'KEY'" in named
    assert 0 == done["older_values"]
    assert [named] == past.run("migrate", "--status")["refused_values"]
    [finding] = [one for one in past.run("doctor", code=1)["findings"] if one["what"] == "older values"]
    assert "'KEY'" in finding["found"]
    assert "'KEY'" in past.run("audit", "verify", code=1)["difference"]["what"]


def test_a_row_of_another_form_is_reported(past: Past) -> None:
    """With a text in place of a record, `doctor` and `migrate` fail with a message, not with an exception."""
    execute(past, "UPDATE bindings SET sealed = 'text' WHERE name = 'KEY'")

    [finding] = [one for one in past.run("doctor", code=1)["findings"] if one["what"] == "older values"]
    done = run("migrate", "--yes", "--data", str(past.safe.path), cwd=past.safe.path.parent)

    words = "'KEY' of 'worker' in the account"
    assert words in finding["found"]
    assert 0 != done.returncode
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_none_is_stated_after_the_migration(past: Past) -> None:
    """When a safe has been brought over, the store states no older record, also one with a valid signature."""
    DataDirectory(past.safe.path).refuse_older_rows()

    with pytest.raises(NightsafeError) as refusal:
        in_store(past.safe, lambda store: state_all(store, past))

    assert Code.CANNOT_OPEN is refusal.value.code
    assert {RECORD_MAGIC} == forms(past)


def test_none_is_stated_where_an_archived_entry_may_name_another(past: Past) -> None:
    """With archived entries nothing shows that a place never had another value, so no older record is stated."""

    async def archive_and_state(store: Store) -> None:
        """Archive the whole log, and state the values."""
        await store.commit(archive_change(ArchivedEntries(0, await store.last_audit_number()), 0))
        await state_all(store, past)

    with pytest.raises(NightsafeError, match="entries of the log are archived") as refusal:
        in_store(past.safe, archive_and_state)

    assert Code.CANNOT_OPEN is refusal.value.code
    assert {RECORD_MAGIC} == forms(past)


def test_entries_are_archived_only_after_the_migration(past: Past, tmp_path: Path) -> None:
    """A safe that still states older rows archives nothing, and says what to do; after `migrate` it archives."""
    data, folder = str(past.safe.path), str(tmp_path / "archives")
    command = ("audit", "archive", "--data", data, "--audit-keep", "1s", "--audit-archive", folder)

    refused = run(*command, cwd=tmp_path)
    past.run("migrate", "--yes")
    done = run(*command, cwd=tmp_path)

    assert 1 == refused.returncode
    assert "first run nightsafe migrate" in refused.stderr
    assert (0, "the entries 0 to ") == (done.returncode, done.stdout[:17])


def test_values_that_an_earlier_migration_left_are_stated(past: Past) -> None:
    """In a safe that was brought over without its values, the command asks first, and then states them."""
    DataDirectory(past.safe.path).refuse_older_rows()
    total = len(stored_values(past))
    assert (False, total) == tuple(past.run("migrate", "--status")[name] for name in ("open", "older_values"))

    done = past.run("migrate", "--yes")

    assert (False, 0) == (done["open"], done["older_values"])
    assert {PROVEN_MAGIC} == forms(past)


def test_it_may_be_ended_at_any_moment(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each value, an end of the process leaves a safe that verifies and opens, and the rest is stated later."""
    monkeypatch.setattr(older_values, "_PART", 1)
    total = len(stored_values(past))

    async def state_one(store: Store) -> int:
        """State one value, and fail at the next one."""
        commits = 0
        commit = store.commit

        async def commit_once(change: Change) -> Outcome:
            """Commit the first change only."""
            nonlocal commits
            commits += 1
            if commits > 1:
                raise asyncio.CancelledError
            return await commit(change)

        monkeypatch.setattr(store, "commit", commit_once)
        try:
            return await state_all(store, past)
        except asyncio.CancelledError:
            return commits

    for left in range(total, 0, -1):
        assert left == past.run("migrate", "--status")["older_values"]
        in_store(past.safe, state_one)
        assert put(past) == opened(past)
        assert past.run("audit", "verify")["verified"]

    assert {PROVEN_MAGIC} == forms(past)


@pytest.mark.parametrize("first", ["reseal", "migrate"])
def test_they_are_resealed_before_and_after(past: Past, first: str) -> None:
    """A rotation finds values under older keys in records of either form, and reseals them to the same values."""
    if first == "migrate":
        past.run("migrate", "--yes")
    before = {value.key_id for value in stored_values(past)}
    assert 1 < len(before)

    with Server(past.safe):
        past.run("keys", "reseal", "--private-ring", str(past.safe.private_ring))

    assert 1 == len({value.key_id for value in stored_values(past)})
    past.run("migrate", "--yes")
    assert {PROVEN_MAGIC} == forms(past)
    assert put(past) == opened(past)
    assert past.run("audit", "verify")["verified"]


def test_writes_build_on_stated_values(past: Past) -> None:
    """After the migration, a put of another secret keeps the older ones, and the script is delivered with all."""
    past.run("migrate", "--yes")
    before = {name for name, _ in served(past)}

    put_newer(past, "NEWER")

    assert before | {"NEWER"} == {name for name, _ in served(past)}
    assert past.run("audit", "verify")["verified"]


def test_approvals_of_values_stay_valid(past: Past) -> None:
    """The digest that an approval with `covers: values` signs is the same before and after the migration."""

    async def digest(store: Store) -> bytes:
        """Return the digest of the newest version."""
        return (await Approvals(store).manifest(ScriptRef(past.safe.account_id, "worker"))).values_digest()

    before = in_store(past.safe, digest)
    past.run("migrate", "--yes")

    assert before == in_store(past.safe, digest)
