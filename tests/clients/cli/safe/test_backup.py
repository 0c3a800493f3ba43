"""`nightsafe backup` and `restore`: a restored safe works as before, and a damaged backup is not restored."""

import hashlib
import io
import json
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.clients.cli.tools.terminal import Terminal, plain
from tests.clients.stored_values import opened
from tests.clients.wire.talk import SCRIPTS, Wire
from tests.server import NIGHTSAFE, Safe, Server, clean_environ, run

NAMES = (
    "nightsafe.db",
    "keys/public-ring.json",
    "keys/signing-key.json",
    "keys/verify-keys.json",
    "keys/identity-key.json",
)


@pytest.fixture
def filled(own_server: Server) -> Server:
    """Return a server with a script and a secret."""
    with Wire.to(own_server) as wire:
        wire.upload("worker")
        assert wire.put("worker", "TOKEN", "canary of the backup").status == 200
    return own_server


def backed_up(safe: Safe, *options: str, name: str = "backup.tar") -> Path:
    """Back a safe up; return the path of the backup."""
    path = safe.path.parent / name
    done = run("backup", str(path), "--data", str(safe.path), *options, cwd=safe.path.parent)
    assert 0 == done.returncode, done.stderr
    return path


def restored(safe: Safe, file: Path, name: str = "again", *options: str) -> Safe:
    """Restore a backup; return the new safe with the credentials of the old one."""
    path = safe.path.parent / name
    done = run("restore", str(file), "--data", str(path), *options, cwd=safe.path.parent)
    assert 0 == done.returncode, done.stderr
    return msgspec.structs.replace(safe, path=path)


def with_changes(file: Path, change: Callable[[dict[str, bytes]], None], *, keep_manifest: bool = False) -> Path:
    """Write a copy of a backup with changed files, and with a manifest that fits them unless it is kept."""
    with tarfile.open(file) as archive:
        held = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    change(held)
    manifest = json.loads(held.pop("manifest.json"))
    if not keep_manifest:
        manifest["files"] = {
            name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in held.items()
        }
    made = file.with_name("altered.tar")
    with tarfile.open(made, "w") as archive:
        for name, content in {"manifest.json": json.dumps(manifest).encode(), **held}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return made


def test_a_backup_of_a_busy_server_is_complete(filled: Server) -> None:
    """The backup of a busy server is consistent, has all writes answered before it began, and its values open."""
    stop, written = threading.Event(), [0]

    def write() -> None:
        """Put secrets until told to stop."""
        with Wire.to(filled) as wire:
            while not stop.is_set():
                written[0] += 1
                assert wire.put("worker", f"S{written[0] % 50}", str(written[0])).status == 200

    writer = threading.Thread(target=write)
    writer.start()
    try:
        backups = [(written[0] - 1, backed_up(filled.safe, name=f"backup{number}.tar")) for number in range(3)]
    finally:
        stop.set()
        writer.join()
    assert written[0] > 3

    for at_least, file in backups:
        safe = restored(filled.safe, file, file.stem)
        shutil.copy(filled.safe.private_ring, safe.private_ring)
        with Server(safe) as again, Wire.to(again) as wire:
            names = {secret["name"] for secret in wire.ask("GET", f"{SCRIPTS}/worker/secrets").result}
            assert wire.put("worker", "NEW", "after").status == 200
        values = opened(safe, "worker")
        assert {"TOKEN", *(f"S{number % 50}" for number in range(1, at_least))} <= names
        assert ("canary of the backup", "after") == (values["TOKEN"], values["NEW"])


def test_a_backup_contains_no_plaintext_and_no_private_ring(filled: Server) -> None:
    """A backup has mode 0600, has no plaintext, and contains the private ring only if the user asks for it."""
    plain_backup, with_ring = backed_up(filled.safe), backed_up(filled.safe, "--with-private-ring", name="ring.tar")

    with tarfile.open(plain_backup) as archive:
        assert ["manifest.json", *NAMES] == archive.getnames()
        assert {0o600} == {member.mode for member in archive}
    with tarfile.open(with_ring) as archive:
        assert ["manifest.json", *NAMES, "delivery/private-ring.json"] == archive.getnames()
    for file in (plain_backup, with_ring):
        assert 0o600 == file.stat().st_mode & 0o777
        assert b"canary of the backup" not in file.read_bytes()
    assert filled.safe.private_ring.read_bytes() not in plain_backup.read_bytes()
    assert [] == [path.name for path in filled.safe.path.parent.iterdir() if path.name.startswith(".")]


def test_restore_sets_private_file_modes(filled: Server) -> None:
    """After a restore only the owner can read private files."""
    safe = restored(filled.safe, backed_up(filled.safe, "--with-private-ring"))

    modes = {str(path.relative_to(safe.path)): path.stat().st_mode & 0o777 for path in safe.path.rglob("*")}
    assert {0o700} == {safe.path.stat().st_mode & 0o777, modes.pop("keys"), modes.pop("delivery")}
    assert {0o644} == {modes.pop("keys/public-ring.json"), modes.pop("keys/verify-keys.json")}
    assert {0o600} == set(modes.values())
    assert filled.safe.private_ring.read_bytes() == safe.private_ring.read_bytes()


def at_terminal(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run a command in a terminal to its end; return its exit code and the text on the screen."""
    with Terminal([*NIGHTSAFE, *arguments], folder, clean_environ()) as terminal:
        return terminal.end(), plain(terminal.shown)


def test_backup_and_restore_report_contents_and_progress(filled: Server) -> None:
    """In a terminal the commands print the backup's contents, the missing private ring, and progress."""
    folder, data = filled.safe.path.parent, str(filled.safe.path)

    code, shown = at_terminal(folder, "backup", "b.tar", "--data", data)
    assert (0, True, True) == (
        code,
        "1 accounts, 1 scripts, 1 secrets" in shown,
        "It lacks the private ring" in shown,
    )
    assert "Packing" in shown
    code, shown = at_terminal(folder, "restore", "b.tar", "--data", "again")
    assert (0, True, True) == (
        code,
        "1 accounts, 1 scripts, 1 secrets" in shown,
        "It lacks the private ring" in shown,
    )
    assert "Unpacking" in shown
    assert "100%" in shown


def test_files_and_safes_are_replaced_only_with_force(filled: Server) -> None:
    """Files and safes are replaced only with `--force`; a safe is renamed then, but never while a server uses it."""
    safe, folder = filled.safe, filled.safe.path.parent
    file = backed_up(safe)
    at = ("--data", str(safe.path))

    assert "already exists; give --force" in run("backup", str(file), *at, cwd=folder).stderr
    assert "a server serves" in run("restore", str(file), *at, "--force", cwd=folder).stderr
    filled.stop()
    refused = run("restore", str(file), *at, cwd=folder)
    assert (1, True) == (refused.returncode, "give --force to rename it" in refused.stderr)
    ring = safe.private_ring.read_bytes()

    done = json.loads(run("restore", str(file), *at, "--force", "--json", cwd=folder).stdout)

    assert done["private_ring"]
    assert (
        ring
        == safe.private_ring.read_bytes()
        == (Path(done["aside"]) / "delivery" / "private-ring.json").read_bytes()
    )
    filled.start()
    assert {"TOKEN": "canary of the backup"} == opened(safe, "worker")


def test_restore_accepts_an_empty_directory(filled: Server) -> None:
    """`restore` accepts an empty directory, such as a new volume."""
    empty = filled.safe.path.parent / "empty"
    empty.mkdir(mode=0o755)

    assert 0o700 == restored(filled.safe, backed_up(filled.safe), "empty").path.stat().st_mode & 0o777


def flipped_bit(name: str) -> Callable[[dict[str, bytes]], None]:
    """Return a change that flips a bit in the middle of a file."""

    def change(held: dict[str, bytes]) -> None:
        middle = len(held[name]) // 2
        held[name] = held[name][:middle] + bytes([held[name][middle] ^ 1]) + held[name][middle + 1 :]

    return change


def newer_schema(held: dict[str, bytes]) -> None:
    """Set the schema version of a newer program."""
    with sqlite3.connect(":memory:") as db:
        db.execute("PRAGMA user_version = 999")
        db.execute("CREATE TABLE bindings (key_id TEXT)")
        held["nightsafe.db"] = db.serialize()


def not_a_database(held: dict[str, bytes]) -> None:
    """Put other bytes in place of the database."""
    held["nightsafe.db"] = b"no database " * 1000


def no_signing_key(held: dict[str, bytes]) -> None:
    """Remove a file."""
    del held["keys/signing-key.json"]


def foreign_file(held: dict[str, bytes]) -> None:
    """Add a file that does not belong to a safe."""
    held["../../etc/passwd"] = b"x"


@pytest.mark.parametrize(
    ("change", "keep_manifest", "words"),
    [
        (flipped_bit("nightsafe.db"), True, "nightsafe.db is damaged: its size or SHA-256 differs from the manifest"),
        (flipped_bit("keys/public-ring.json"), False, "a key file in"),
        (flipped_bit("keys/signing-key.json"), True, "keys/signing-key.json is damaged"),
        (not_a_database, False, "cannot be read: file is not a database"),
        (newer_schema, False, "has schema version 999"),
        (no_signing_key, False, "lacks a file that a safe needs"),
        (no_signing_key, True, "is not at its place in the archive"),
        (foreign_file, False, "or contains a file that does not belong to a safe"),
        (foreign_file, True, "contains more than its manifest names"),
    ],
)
def test_an_altered_backup_is_not_restored(
    filled: Server, change: Callable[[dict[str, bytes]], None], words: str, *, keep_manifest: bool
) -> None:
    """A changed or incomplete backup is refused and leaves nothing behind."""
    file = with_changes(backed_up(filled.safe), change, keep_manifest=keep_manifest)
    folder = filled.safe.path.parent
    before = sorted(path.name for path in folder.iterdir())

    done = run("restore", str(file), "--data", "again", cwd=folder)

    assert (1, "", True) == (done.returncode, done.stdout, words in done.stderr), done.stderr
    assert before == sorted(path.name for path in folder.iterdir())


def test_restore_refuses_files_that_are_not_backups(filled: Server) -> None:
    """Text, an empty file, another kind of archive and a truncated backup are refused."""
    folder, whole = filled.safe.path.parent, backed_up(filled.safe).read_bytes()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x"))
    for content in (b"", b"text", packed.getvalue(), *(whole[: len(whole) * part // 5] for part in range(1, 5))):
        (folder / "bad.tar").write_bytes(content)
        done = run("restore", "bad.tar", "--data", "again", cwd=folder)
        assert (1, "") == (done.returncode, done.stdout)
        assert "Traceback" not in done.stderr
        assert not (folder / "again").exists()
    assert "cannot be unpacked: No such file" in run("restore", "absent", "--data", "again", cwd=folder).stderr


def test_a_copy_that_has_no_room_is_explained(safe: Safe) -> None:
    """If there is no room for the copy, the message says so, and does not blame the safe."""
    code = (
        "import resource, sys; from nightsafe.cli.main import main; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)); sys.argv = ['nightsafe', *sys.argv[1:]]; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "backup", "b.tar", "--data", str(safe.path)],
        check=False, capture_output=True, text=True, cwd=safe.path.parent,
    )  # fmt: skip

    assert 1 == done.returncode
    assert "there is no room for a copy of" in done.stderr


def test_backup_refuses_a_missing_or_damaged_safe(safe: Safe) -> None:
    """`backup` refuses a missing or damaged safe, a missing private ring, and a target that cannot be written."""
    folder, data = safe.path.parent, str(safe.path)

    def words(*arguments: str) -> str:
        """Return the message of a refused `backup`."""
        done = run("backup", *arguments, cwd=folder)
        assert (1, "") == (done.returncode, done.stdout)
        return done.stderr

    assert "there is no safe in none" in words("b.tar", "--data", "none")
    assert "cannot be written: No such file" in words("none/b.tar", "--data", data)
    safe.private_ring.unlink()
    assert "leave out --with-private-ring" in words("b.tar", "--data", data, "--with-private-ring")
    with safe.database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)
    assert "is damaged" in words("b.tar", "--data", data) or "malformed" in words("b.tar", "--data", data)
    assert not (folder / "b.tar").exists()
