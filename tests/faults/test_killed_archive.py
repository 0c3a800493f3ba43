"""`nightsafe audit archive`, killed at each of its steps: no entry is lost, and run again it finishes."""

import itertools
import json
import shutil
from pathlib import Path

import pytest
from tests.faults.steps import Steps
from tests.faults.test_killed_commands import killed_at_each_step, must, nightsafe
from tests.server import make_safe

from nightsafe.cli.audit import archive
from nightsafe.services.caller import now
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.sqlite import SqliteStore


class ArchiveSteps(Steps):
    """Steps before and after the transaction too.

    Args:
        monkeypatch: replaces the calls.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch)
        commit = SqliteStore.commit

        async def counted(store: SqliteStore, change: Change) -> Outcome:
            """Commit, unless the process has died; it may also die when the commit is done."""
            self._step()
            outcome = await commit(store, change)
            self._step()
            return outcome

        monkeypatch.setattr(SqliteStore, "commit", counted)


def indexes(folder: Path) -> list[int]:
    """Return the indexes of all entries in all archives of a directory."""
    lines = [line for file in folder.glob("audit-*.jsonl") for line in file.read_text().splitlines()[1:]]
    return sorted(json.loads(line)["index"] for line in lines)


def test_archive_killed_at_any_step_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each kill every entry is in the database or in an archive; run again, each is archived exactly once."""
    origin = make_safe(tmp_path)
    for name in ("one", "two", "three"):
        must(nightsafe("token", "create", "--all-access", "--name", name, "--data", origin.path))
    ticks = itertools.count(1)
    monkeypatch.setattr(archive, "now", lambda: now() + next(ticks) * 10_000_000)  # each run finds more old entries
    monkeypatch.setattr("nightsafe.audit.exports.archiving.MOST_ENTRIES", 3)
    monkeypatch.chdir(tmp_path)
    killed = tmp_path / "killed"
    killed.mkdir()

    def prepare(place: Path) -> None:
        """Create the safe as it is before the command."""
        shutil.copytree(origin.path, place / "safe")

    command = ("audit", "archive", "--data", "safe", "--audit-keep", "1s", "--audit-archive", "archives")
    size = json.loads(must(nightsafe("audit", "checkpoint", "--data", origin.path, "--json")).stdout)["size"]
    kills = 0
    for place in killed_at_each_step(ArchiveSteps(monkeypatch), killed, prepare, *command):
        kills += 1
        with_archives = ("--archive", "archives") if indexes(place / "archives") else ()
        must(nightsafe("audit", "verify", "--data", "safe", *with_archives))
        must(nightsafe("token", "create", "--all-access", "--name", "later", "--data", "safe"))  # one more old entry
        must(nightsafe(*command))
        archived = indexes(place / "archives")
        assert [*range(len(archived))] == archived
        assert size <= len(archived)
        assert all(file.name.startswith("audit-") for file in (place / "archives").iterdir())
        must(nightsafe("audit", "verify", "--data", "safe", "--archive", "archives"))

    assert kills >= 2 * 4
