"""`nightsafe node`: the directory of a further node, the list of nodes, and retirement."""

import json
import shutil
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
from tests.clients.cli.doctor.test_doctor import examined
from tests.server import Safe, make_safe, run

from nightsafe.sealing.files import write
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys

SHARED = ("public-ring.json", "identity-key.json", "verify-keys.json")


def node(data: Path, *arguments: str) -> tuple[int, Any]:
    """Run a `node` command; return its exit code, and its JSON output or its refusal."""
    done = run("node", *arguments, "--data", str(data), "--json", cwd=data.parent)
    return done.returncode, json.loads(done.stdout) if done.returncode == 0 else done.stderr


def done(data: Path, *arguments: str) -> Any:
    """Run a command that must succeed; return its JSON output."""
    code, answer = node(data, *arguments)
    assert code == 0, answer
    return answer


def refused(data: Path, words: str, *arguments: str) -> bool:
    """Return whether a command is refused with a message that contains these words."""
    code, answer = node(data, *arguments)
    return code == 1 and words in answer


def keys_of(data: Path) -> VerifyKeys:
    """Return the keys that a directory lists."""
    return VerifyKeys.load(data / "keys" / "verify-keys.json")


def has_private_ring(folder: Path) -> bool:
    """Return whether any file below a folder has a private ring."""
    return any(b"nightsafe-private-ring" in path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def admin(safe: Safe) -> Path:
    """Return a data directory with the key files of a safe, whose database is somewhere else."""
    data = safe.path.parent / "admin"
    shutil.copytree(safe.path, data, ignore=shutil.ignore_patterns("nightsafe.db*"))
    return data


def test_a_node_gets_what_it_needs_and_no_private_ring(admin: Path) -> None:
    """A new directory has a key of its own and copies of the shared files, with tight modes; both lists name it."""
    write(admin / "store-url", b"postgresql://role@h/db", private=True, replace=False)
    assert has_private_ring(admin)

    made = done(admin, "add", "second", "--output", str(admin.parent / "second"))

    folder = Path(made["data"])
    key = SigningKey.load(folder / "keys" / "signing-key.json")
    assert made["id"] == key.id != SigningKey.load(admin / "keys" / "signing-key.json").id
    assert not has_private_ring(folder)
    assert all((folder / "keys" / name).read_bytes() == (admin / "keys" / name).read_bytes() for name in SHARED)
    assert b"postgresql://role@h/db" == (folder / "store-url").read_bytes()
    assert {"keys", "store-url"} == {path.name for path in folder.iterdir()}
    modes = {path.relative_to(folder).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    assert 0o700 == stat.S_IMODE(folder.stat().st_mode) == modes["keys"]
    assert {0o600} == {modes[name] for name in ("store-url", "keys/signing-key.json", "keys/identity-key.json")}
    assert [("", None), ("second", None)] == [(key.name, key.until) for key in keys_of(admin).keys]
    assert [("", False), ("second", True)] == [(one["name"], one["here"]) for one in done(folder, "list")["nodes"]]


def test_add_says_where_the_keys_must_go_first(admin: Path) -> None:
    """The command lists the places that need the new file before the node starts, in this order."""
    said = run("node", "add", "n", "--output", "n", "--data", str(admin), cwd=admin.parent).stdout

    order = ["Before you start", "every other node", "every delivery process", "verifies the log", "witness", "serve"]
    assert sorted(map(said.index, order)) == list(map(said.index, order))


def test_add_refuses_what_is_taken(admin: Path, safe: Safe) -> None:
    """A name or a path that is taken, a malformed name, and a safe with a file as its database: nothing is made."""
    done(admin, "add", "n", "--output", "n")
    before = (admin / "keys" / "verify-keys.json").read_bytes()

    assert refused(admin, "take another name", "add", "n", "--output", "other")
    assert refused(admin, "already exists", "add", "m", "--output", "n")
    assert refused(admin, "the name of a node", "add", "N N", "--output", "other")
    assert refused(safe.path, "serve --workers", "add", "m", "--output", "other")
    assert before == (admin / "keys" / "verify-keys.json").read_bytes()
    assert not (admin.parent / "other").exists()


def test_an_interrupted_add_is_finished(admin: Path) -> None:
    """If a command made the directory and ended before it listed the key, the same command lists that key."""
    before = (admin / "keys" / "verify-keys.json").read_bytes()
    made = done(admin, "add", "n", "--output", "n")
    (admin / "keys" / "verify-keys.json").write_bytes(before)

    again = done(admin, "add", "n", "--output", "n")

    assert made["id"] == again["id"]
    assert keys_of(admin).get(made["id"]) is not None


def test_a_node_of_another_safe_is_not_listed(admin: Path, tmp_path: Path) -> None:
    """A directory of a node with the same name, but of another safe, is taken for nothing of this one."""
    (tmp_path / "another").mkdir(mode=0o700)
    other = make_safe(tmp_path / "another").path
    (other / "nightsafe.db").unlink()
    done(other, "add", "n", "--output", str(admin.parent / "n"))

    assert refused(admin, "already exists", "add", "n", "--output", "n")
    assert 1 == len(keys_of(admin).keys)


def grow(safe: Safe) -> None:
    """Make the log longer."""
    made = run("token", "create", "--no-expiry", "--all-access", "--data", str(safe.path), cwd=safe.path.parent)
    assert 0 == made.returncode, made.stderr


def with_second_key(safe: Safe, admin: Path) -> str:
    """Give a safe the list of an administrator's directory with a second node; return the node's key."""
    key_id: str = done(admin, "add", "second", "--output", "second")["id"]
    shutil.copy(admin / "keys" / "verify-keys.json", safe.path / "keys")
    return key_id


def test_a_retired_key_has_the_size_of_the_log(safe: Safe, admin: Path) -> None:
    """`retire` takes a name or an id, records the log's size, and records a later one with `--again` only."""
    key_id = with_second_key(safe, admin)

    assert {"name": "second", "id": key_id, "until": 1} == done(safe.path, "retire", "second")
    grow(safe)
    assert refused(safe.path, "retired already, at 1 entries", "retire", key_id)
    assert [None, 1] == [key.until for key in keys_of(safe.path).keys]
    assert 1 < done(safe.path, "retire", key_id, "--again")["until"]
    assert refused(safe.path, "lists no such node", "retire", "third")


def test_a_size_that_no_node_has_signed_is_not_recorded(safe: Safe, admin: Path) -> None:
    """`retire` takes the log's size only from a checkpoint that a listed key has signed."""
    with_second_key(safe, admin)
    db = sqlite3.connect(safe.database)
    [(note,)] = db.execute("SELECT checkpoint FROM log_head")
    db.execute("UPDATE log_head SET checkpoint = ?", (note.replace(b"\n1\n", b"\n900\n", 1),))
    db.commit()
    db.close()

    assert refused(safe.path, "the signature of", "retire", "second")
    assert [None, None] == [key.until for key in keys_of(safe.path).keys]


def test_a_node_does_not_retire_its_own_key(safe: Safe, admin: Path) -> None:
    """The key of the directory itself is refused, because that directory could change nothing more."""
    with_second_key(safe, admin)
    own = SigningKey.load(safe.path / "keys" / "signing-key.json").id

    assert refused(safe.path, "from the data directory of another node", "retire", own)


def test_a_retired_node_changes_nothing(safe: Safe, admin: Path) -> None:
    """With a retired key of its own, a directory refuses to serve and to change anything, and the doctor says so."""
    with_second_key(safe, admin)
    own = SigningKey.load(safe.path / "keys" / "signing-key.json")
    keys = keys_of(safe.path)
    keys.retired(own.verify_key, 1).save(safe.path / "keys" / "verify-keys.json", replace=True)

    for arguments in (("serve", "--port", "0"), ("token", "create", "--no-expiry", "--all-access")):
        ended = run(*arguments, "--data", str(safe.path), cwd=safe.path.parent)
        assert 0 != ended.returncode
        assert "retired" in ended.stderr
    found = examined(safe, code=1)
    assert "failed" == found["signing key"]["state"]
    assert "is retired" in found["signing key"]["found"]


def test_status_and_doctor_show_the_nodes(safe: Safe, admin: Path) -> None:
    """`keys status` and `doctor` name the nodes whose keys are in use, and count the retired ones."""
    with_second_key(safe, admin)
    own = SigningKey.load(safe.path / "keys" / "signing-key.json").id
    said = run("keys", "status", "--data", str(safe.path), cwd=safe.path.parent).stdout
    as_json = json.loads(run("keys", "status", "--json", "--data", str(safe.path), cwd=safe.path.parent).stdout)

    assert f"Nodes that sign: {own}, second." in said
    assert [own, "second"] == [each["name"] or each["id"] for each in as_json["nodes"]]
    assert f"2 in use ({own}, second), 0 retired" == examined(safe, code=0)["nodes' keys"]["found"]

    done(safe.path, "retire", "second")
    assert f"1 in use ({own}), 1 retired" == examined(safe, code=0)["nodes' keys"]["found"]


def test_the_public_keys_are_those_in_use(safe: Safe, admin: Path) -> None:
    """`audit key` prints a line for each key that signs, for witnesses; JSON has the retired ones apart."""
    with_second_key(safe, admin)

    def printed() -> tuple[int, int, int]:
        """Return how many lines there are, and how many keys the JSON has of each sort."""
        lines = run("audit", "key", "--data", str(safe.path), cwd=safe.path.parent).stdout.splitlines()
        found = json.loads(run("audit", "key", "--json", "--data", str(safe.path), cwd=safe.path.parent).stdout)
        return len(lines), len(found["keys"]), len(found["retired"])

    assert (2, 2, 0) == printed()
    done(safe.path, "retire", "second")
    assert (1, 1, 1) == printed()


def test_a_restore_keeps_nodes_and_retirements(safe: Safe, admin: Path) -> None:
    """A backup from before does not bring a retired key back into use, nor remove a node that was added since.

    The retirement is at the size of the restored log if that is shorter. The directory keeps its own signing key.
    """
    retired = with_second_key(safe, admin)
    backup = safe.path.parent / "safe.tar"
    assert 0 == run("backup", str(backup), "--data", str(safe.path), cwd=safe.path.parent).returncode
    third = done(admin, "add", "third", "--output", "third")["id"]
    shutil.copy(admin / "keys" / "verify-keys.json", safe.path / "keys")
    grow(safe)
    assert 1 < done(safe.path, "retire", "second")["until"]
    shutil.copy(admin.parent / "third" / "keys" / "signing-key.json", safe.path / "keys")

    ended = run("restore", str(backup), "--force", "--data", str(safe.path), cwd=safe.path.parent)

    assert 0 == ended.returncode, ended.stderr
    keys = keys_of(safe.path)
    assert 1 == getattr(keys.get(retired), "until", None)
    assert third == SigningKey.load(safe.path / "keys" / "signing-key.json").id
    assert 3 == len(keys.keys)
    assert 0 == run("audit", "verify", "--data", str(safe.path), cwd=safe.path.parent).returncode
