"""`nightsafe audit archive`, and the other commands on a log with archived entries, in this process."""

import asyncio
import fcntl
import json
import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from tests.unit.cli.audit.tools.call import call

from nightsafe.audit.sinks.position import Mark, Position
from nightsafe.cli.audit import archive as archive_command
from nightsafe.cli.audit.entry_source import StoreEntries, following
from nightsafe.cli.doctor.audit_log import audit_log
from nightsafe.cli.doctor.examination import Examination, State
from nightsafe.services.caller import now
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.sqlite import SqliteStore

DAY = 24 * 60 * 60 * 1_000_000


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command believe that it is a hundred days later."""
    monkeypatch.setattr(archive_command, "now", lambda: now() + 100 * DAY)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the path of a directory for archives."""
    return tmp_path / "archives"


def archive(data: Path, folder: Path, *options: str, code: int = 0) -> dict[str, object]:
    """Archive everything that is older than ninety days; return what the command says."""
    done = call(
        "archive", "--data", data, "--audit-keep", "90d", "--audit-archive", folder, "--json", *options, code=code
    )
    said: dict[str, object] = json.loads(done.stdout)
    return said


def archived_entries(data: Path) -> int:
    """Return how many entries the database has without their text."""
    with closing(sqlite3.connect(data / "nightsafe.db")) as db:
        return int(db.execute("SELECT count(*) FROM audit WHERE length(entry) = 0").fetchone()[0])


def test_old_entries_are_moved_into_private_files(data: Path, folder: Path) -> None:
    """The entries are in files of mode 0600 that verify alone, and no longer in the database."""
    size = json.loads(call("checkpoint", "--data", data, "--json").stdout)["size"]

    said = archive(data, folder)

    (file,) = folder.iterdir()
    assert {"archived": size, "first": 0, "end": size, "files": [str(file)]} == said
    assert (0o700, 0o600) == (stat.S_IMODE(folder.stat().st_mode), stat.S_IMODE(file.stat().st_mode))
    assert size == archived_entries(data) == len(file.read_bytes().splitlines()) - 1
    keys = data / "keys" / "verify-keys.json"
    assert f"{size} entries: all as the checkpoint says\n" == call("verify", file, "--verify-keys", keys).stdout


@pytest.mark.parametrize("is_there", [False, True])
def test_the_file_is_durable_before_the_entries_leave(
    data: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_there: bool
) -> None:
    """The file and its directory are synced before the transaction, also one that a killed command has left."""
    if is_there:
        archive(Path(shutil.copytree(data, tmp_path / "older")), folder)
    steps: list[str] = []
    sync, commit = os.fsync, SqliteStore.commit

    def noted_sync(descriptor: int) -> None:
        """Sync, and note the name."""
        steps.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    async def noted_commit(store: SqliteStore, change: Change) -> Outcome:
        """Commit, and note it."""
        steps.append("commit")
        return await commit(store, change)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(SqliteStore, "commit", noted_commit)
    archive(data, folder)

    (file,) = folder.iterdir()
    written = [] if is_there else [".unfinished-audit.jsonl"]
    assert [*written, file.name, folder.name, folder.parent.name, "commit"] == steps


def test_a_run_without_old_entries_changes_nothing(data: Path, folder: Path) -> None:
    """If nothing is old enough, no file is made and nothing is written into the log."""
    done = call("archive", "--data", data, "--audit-keep", "101d", "--audit-archive", folder)

    assert "no entry was archived: none is old enough\n" == done.stdout
    assert (0, []) == (archived_entries(data), [*folder.iterdir()])


def test_a_log_is_verified_with_its_archives(data: Path, folder: Path, tmp_path: Path) -> None:
    """With the archives the result is that of before; without them it says what was not compared."""
    kept, keys, export = tmp_path / "kept", data / "keys" / "verify-keys.json", tmp_path / "log.jsonl"
    before = json.loads(call("verify", "--data", data, "--json").stdout)
    kept.write_text(call("checkpoint", "--data", data).stdout)
    archive(data, folder)

    with_archives = call("verify", "--data", data, "--archive", folder, "--from", kept)
    after = json.loads(call("verify", "--data", data, "--archive", folder, "--json").stdout)
    without = call("verify", "--data", data)
    assert "of the entries are archived\n" in with_archives.stdout
    changed = {"entries": before["entries"] + 1, "archived": before["entries"]}
    assert before | changed == after
    assert (
        f"; {before['entries']} of the entries are archived and were checked by their hashes only" in without.stdout
    )
    assert "rows were not compared with the log" in without.stdout
    assert 0 < json.loads(call("verify", "--data", data, "--json").stdout)["uncompared"]

    said = call("export", "--data", data, "--output", export)
    assert f"the entries 0 to {before['entries'] - 1} are archived: this export has the others" in said.stderr
    options = (export, "--verify-keys", keys)
    words = (
        f"1 of {after['entries']} entries, from entry {before['entries']} on: all as the checkpoint says. The others"
    )
    assert words in call("verify", *options).stdout
    assert "nothing here shows" in str(call("verify", *options, "--from", kept, code=1).exception)
    done = call("verify", *options, "--archive", folder, "--from", kept)
    assert f"{after['entries']} entries: all as the checkpoint says\n" == done.stdout


def test_a_changed_archive_and_a_missing_one_are_named(data: Path, folder: Path) -> None:
    """The difference names the file with the changed line, the missing line, or the entry without a file."""
    archive(data, folder)
    (file,) = folder.iterdir()
    lines = file.read_bytes().splitlines(keepends=True)

    file.write_bytes(b"".join([*lines[:5], lines[5].replace(b'"at":', b'"at":1'), *lines[6:]]))
    changed = call("verify", "--data", data, "--archive", file, code=1).stderr
    assert f"the text of entry 4 in {file} is not what its leaf hash says" in changed
    file.write_bytes(b"".join([*lines[:5], *lines[6:]]))
    assert f"entry 4 is missing in {file}" in call("verify", "--data", data, "--archive", file, code=1).stderr
    file.write_bytes(b"".join(lines[:-1]))
    assert f"{file} ends before entry" in call("verify", "--data", data, "--archive", folder, code=1).stderr
    file.unlink()
    assert "has no archive" in call("verify", "--data", data, "--archive", folder, code=1).stderr
    assert "cannot be read: No such file" in call("verify", "--data", data, "--archive", file, code=1).stderr
    file.write_bytes(b"x" * (1 << 18) + b"\n")
    assert "has a line of over" in call("verify", "--data", data, "--archive", file, code=1).stderr


def test_an_entry_emptied_by_hand_is_found(data: Path, folder: Path) -> None:
    """An entry that somebody emptied without archiving it is missing from the database and from the archives."""
    archive(data, folder)
    with closing(sqlite3.connect(data / "nightsafe.db", isolation_level=None)) as db:
        (trigger,) = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'audit_is_never_changed'").fetchone()
        db.execute("DROP TRIGGER audit_is_never_changed")
        db.execute("UPDATE audit SET entry = x'' WHERE seq = (SELECT max(seq) FROM audit)")
        db.execute(trigger)

    for options in ((), ("--archive", folder)):
        done = call("verify", "--data", data, *options, code=1)
        assert "is missing, and the log does not say that it was archived" in done.stderr


def test_the_commands_begin_with_the_first_kept_entry(data: Path, folder: Path, tmp_path: Path) -> None:
    """`list` says what is archived, `show` reads an archived entry from its file, and `doctor` finds no fault."""
    before = json.loads(call("show", "3", "--data", data, "--json").stdout)
    size = archive(data, folder)["archived"]

    listed = call("list", "--data", data)
    assert f"the entries 0 to {int(str(size)) - 1} are archived" in listed.stderr
    fields = json.loads(call("list", "--data", data, "--json").stdout)
    assert (["audit.archive"], size) == ([entry["action"] for entry in fields["entries"]], fields["archived"])
    assert "entry 3 is archived: give the file" in call("show", "3", "--data", data, code=4).output
    assert before == json.loads(call("show", "3", "--data", data, "--json", "--archive", folder).stdout)
    other = tmp_path / "part.jsonl"
    call("export", "--data", data, "--output", other)
    assert "the given archives do not have it" in call("show", "3", "--data", data, "--archive", other, code=4).output
    assert (
        fields["archived"] == json.loads(call("list", "--data", data, "--json", "--action", "x").stdout)["archived"]
    )
    (sound,) = audit_log(Examination(data, thorough=True, tls=(None, None, None)))
    assert State.OK == sound.state
    assert f"{size} of the entries are archived" in sound.found
    assert "archived" not in call("list", "--data", data, "--limit", "1").stderr


async def test_new_entries_follow_from_an_archived_one_on(data: Path, folder: Path) -> None:
    """`watch` begins with the first kept entry if it would begin with an archived one."""
    await asyncio.to_thread(archive, data, folder)
    store = SqliteStore.open(data / "nightsafe.db")
    try:
        source = StoreEntries(store)
        async for entry in following(source, 0):
            assert (await source.first(), "audit.archive") == (entry.index, entry.fields["action"])
            break
    finally:
        await store.close()


def test_what_a_sink_lacks_stays(data: Path, folder: Path) -> None:
    """Entries that a sink has not received are not archived, and the command says which sink and what to do."""
    Position(data, "ab" * 32).write(Mark())

    done = call("archive", "--data", data, "--audit-keep", "90d", "--audit-archive", folder)

    assert "no entry was archived" in done.stdout
    assert (
        f"The entries from 0 on stay, although they are old enough: the sink with the position file {data}"
        in done.stderr
    )
    assert 0 == archived_entries(data)


def test_a_foreign_file_in_the_way_is_refused(data: Path, folder: Path) -> None:
    """A file with the name of the next archive, and another content, is named; it and the database stay."""
    size = json.loads(call("checkpoint", "--data", data, "--json").stdout)["size"]
    folder.mkdir(mode=0o700)
    file = folder / f"audit-{0:012d}-{size - 1:012d}.jsonl"
    file.write_text("foreign\n")

    done = call("archive", "--data", data, "--audit-keep", "90d", "--audit-archive", folder, code=1)

    assert f"{file} does not have the entries 0 to {size - 1} of this log" in done.stderr
    assert ("foreign\n", 0) == (file.read_text(), archived_entries(data))


def test_directories_that_do_not_fit_are_refused(data: Path, folder: Path, tmp_path: Path) -> None:
    """A directory in the data directory, one that others can write to, and one that is in use are refused."""
    options = ("archive", "--data", data, "--audit-keep", "90d", "--audit-archive")
    assert "is in the data directory" in call(*options, data / "archives", code=2).output
    assert "cannot be used: No such file" in call(*options, tmp_path / "absent" / "archives", code=1).output
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    assert "others may write to it" in str(call(*options, folder, code=1).exception)
    folder.chmod(0o700)
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert "another `nightsafe audit archive` is writing" in call(*options, folder, code=1).output
    os.close(descriptor)
    assert 0 == archived_entries(data)


@pytest.mark.parametrize("age", ["90", "d", "0d", "-1d", "1y", "1.5d", " 1d", "9999999999d", ""])
def test_an_age_of_another_form_is_refused(data: Path, folder: Path, age: str) -> None:
    """An age is a whole number and a unit."""
    done = call("archive", "--data", data, "--audit-keep", age, "--audit-archive", folder, code=2)

    assert "is not an age; give a number and one of s, m, h, d and w, such as 90d" in done.output


def test_both_settings_are_needed(data: Path, folder: Path) -> None:
    """Without an age or a directory, nothing is archived, and the message names both options."""
    for options in (("--audit-keep", "90d"), ("--audit-archive", folder), ()):
        done = call("archive", "--data", data, *options, code=2)
        assert "give --audit-keep and --audit-archive" in done.output
    assert (0, False) == (archived_entries(data), folder.exists())


def test_an_archive_that_is_there_already_is_taken(data: Path, folder: Path, tmp_path: Path) -> None:
    """After a restore of an older backup, the same entries are archived again, and no file is written twice."""
    older = tmp_path / "older"
    shutil.copytree(data, older)
    said = archive(data, folder)
    written = [(file.name, file.stat().st_ino) for file in folder.iterdir()]

    assert said == archive(older, folder)
    assert written == [(file.name, file.stat().st_ino) for file in folder.iterdir()]
    assert "of the entries are archived\n" in call("verify", "--data", older, "--archive", folder).stdout
