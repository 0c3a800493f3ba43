"""Key rotation with `nightsafe keys`, from `rotate` to `remove`, on one machine and on two."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.clients.stored_values import opened
from tests.clients.wire.talk import Wire
from tests.server import Safe, Server, make_safe, run

from nightsafe.cli.keys import commands
from nightsafe.cli.main import cli
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing

RESEALING = "Nightsafe Resealing"


def keys(safe: Safe, *arguments: str, data: bool = True) -> tuple[int, Any]:
    """Run a `keys` command; return its exit code, and its JSON output or its refusal."""
    where = ("--data", str(safe.path)) if data else ("--data", str(safe.path.parent / "nowhere"))
    done = run("keys", *arguments, *where, "--json", cwd=safe.path.parent)
    return done.returncode, json.loads(done.stdout) if done.returncode == 0 else done.stderr


def done(safe: Safe, *arguments: str, data: bool = True) -> Any:
    """Run a command that must succeed; return its JSON output."""
    code, answer = keys(safe, *arguments, data=data)
    assert code == 0, answer
    return answer


def refused(safe: Safe, words: str, *arguments: str, data: bool = True) -> bool:
    """Return True if a command is refused with a message that contains these words."""
    code, answer = keys(safe, *arguments, data=data)
    return code == 1 and words in answer


def states(safe: Safe) -> list[tuple[str, int]]:
    """Return the state and the number of values of each key, newest first."""
    return [(key["state"], key["values"]) for key in done(safe, "status")["keys"]]


def token_file(safe: Safe, *permissions: str) -> Path:
    """Create a token with these permissions; return the path of its file."""
    flags = [part for permission in permissions for part in ("--permission", permission)]
    made = run("token", "create", "--no-expiry", "--data", str(safe.path), *flags, cwd=safe.path.parent)
    assert (0, "") == (made.returncode, made.stderr)
    path = safe.path.parent / f"token-{len(permissions)}-{permissions[0].replace(' ', '-')}"
    path.touch(0o600)
    path.write_text(made.stdout)
    return path


def reseal(server: Server, *arguments: str) -> tuple[int, Any]:
    """Run `keys reseal` against a server."""
    path = token_file(server.safe, RESEALING)
    return keys(
        server.safe, "reseal", "--api", server.base_url, "--token-file", str(path), "--rest", "0",
        "--account-id", server.safe.account_id, *arguments,
    )  # fmt: skip


def store_three_values(wire: Wire) -> None:
    """Store three values; a newer version has replaced one of them."""
    wire.upload("worker")
    for name, value in (("A", "old"), ("A", "new"), ("B", "other")):
        assert wire.put("worker", name, value).status == 200


def test_rotation_on_one_machine_keeps_all_values(own_server: Server) -> None:
    """The server uses a new key at once; after resealing the old key can be removed and all values still open."""
    safe = own_server.safe
    with Wire.to(own_server) as wire:
        store_three_values(wire)
        assert [("primary", 3)] == states(safe)
        old = done(safe, "status")["keys"][0]["id"]

        rotated = done(safe, "rotate")
        assert wire.put("worker", "C", "after").status == 200

    assert (old, False) == (rotated["before"], rotated["resumed"])
    assert [("primary", 1), ("active", 3)] == states(safe)
    assert refused(safe, "3 values", "retire", old)
    assert [("primary", 1), ("active", 3)] == states(safe)
    assert (0, {"resealed": 3, "changed": 0, "unopened": 0}) == reseal(own_server)
    assert [("primary", 4), ("active", 0)] == states(safe)
    assert {"id": old} == done(safe, "retire", old)
    assert [("primary", 4), ("retired", 0)] == states(safe)
    assert {"id": old} == done(safe, "remove", old, "--yes")
    assert [("primary", 4)] == states(safe)
    assert {"A": "new", "B": "other", "C": "after"} == opened(safe, "worker")
    assert "old" == opened(safe, "worker", version=2)["A"]
    for path in (safe.private_ring, safe.path / "keys" / "public-ring.json"):
        assert old not in path.read_text()


def test_rotation_on_two_machines_keeps_all_values(own_server: Server, tmp_path: Path) -> None:
    """The private ring is rotated on its own machine and its public half handed over: no command needs both."""
    safe, elsewhere = own_server.safe, tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    private, handed = elsewhere / "ring.json", elsewhere / "public.json"
    shutil.move(safe.private_ring, private)
    with Wire.to(own_server) as wire:
        store_three_values(wire)
        old = done(safe, "status")["keys"][0]["id"]
        rotated = done(safe, "rotate", "--private-ring", str(private), "--public-ring", str(handed), data=False)
        assert wire.put("worker", "B", "before the install").status == 200
        assert [("primary", 4)] == states(safe)

        assert rotated["primary"] == done(safe, "install", str(handed))["primary"]
        assert wire.put("worker", "C", "after").status == 200

    assert [("primary", 1), ("active", 4)] == states(safe)
    assert 4 == reseal(own_server, "--private-ring", str(private))[1]["resealed"]
    done(safe, "retire", old)
    done(safe, "remove", old, "--yes")
    assert old in private.read_text()
    done(safe, "remove", old, "--yes", "--private-ring", str(private), "--unchecked", data=False)
    assert old not in private.read_text()
    shutil.copy(private, safe.private_ring)
    assert {"A": "new", "B": "before the install", "C": "after"} == opened(safe, "worker")


def test_a_ring_installed_later_keeps_retired_keys_retired(own_server: Server, tmp_path: Path) -> None:
    """A ring that is installed later does not make a retired key active or primary again."""
    safe = own_server.safe
    first = tmp_path / "first.json"
    old = done(safe, "status")["keys"][0]["id"]
    shutil.copy(safe.path / "keys" / "public-ring.json", first)
    done(safe, "rotate")
    private = tmp_path / "ring.json"
    shutil.copy(safe.private_ring, private)
    done(safe, "retire", old)

    handed = tmp_path / "handed.json"
    done(safe, "rotate", "--private-ring", str(private), "--public-ring", str(handed), data=False)
    assert done(safe, "install", str(handed))
    assert ["primary", "active", "retired"] == [state for state, _ in states(safe)]
    assert refused(safe, "is an older ring", "install", str(first))


def test_rotate_finishes_an_interrupted_rotation(safe: Safe, tmp_path: Path) -> None:
    """When only the private ring was written, the next `rotate` installs the same key instead of making another."""
    public = tmp_path / "public.json"
    shutil.copy(safe.path / "keys" / "public-ring.json", public)
    first = done(safe, "rotate")
    shutil.copy(public, safe.path / "keys" / "public-ring.json")

    assert first | {"resumed": True} == done(safe, "rotate")
    assert not done(safe, "rotate")["resumed"]
    assert 3 == len(PrivateRing.load(safe.private_ring).keys)


def test_a_rotation_that_the_log_cannot_name_says_so(safe: Safe, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the rings are rotated and the disk is full then, the command says so; the next start makes the entry."""

    def fail(_: object) -> None:
        """Fail as on a full disk."""
        raise NightsafeError(Code.STORE, "the safe's disk is full")

    before = states(safe)
    with monkeypatch.context() as patch:
        patch.setattr(commands, "_store_ring_number", fail)
        result = CliRunner().invoke(cli, ["keys", "rotate", "--data", str(safe.path)])
    assert 1 == result.exit_code
    assert "the rings are rotated, but the audit log has no entry" in result.stderr
    assert "Keep a new copy of" in result.stdout
    assert len(before) + 1 == len(states(safe))
    with Server(safe):
        pass
    listed = run("audit", "list", "--data", str(safe.path), "--action", "keys.ring", "--json", cwd=safe.path.parent)
    primary = PublicRing.load(safe.path / "keys" / "public-ring.json").primary.id
    assert primary in [entry["resource"] for entry in json.loads(listed.stdout)["entries"]]


def test_rotate_accepts_a_hybrid_suite(safe: Safe) -> None:
    """The new key can be of the hybrid suite; the next rotation keeps that suite."""
    for flags in (("--suite", "mlkem768-x25519"), ()):
        done(safe, "rotate", *flags)
        assert "mlkem768-x25519" == done(safe, "status")["keys"][0]["suite"]


def test_commands_that_would_lose_values_are_refused(safe: Safe, tmp_path: Path) -> None:
    """A command that would lose a value or leave no usable key is refused with advice and changes nothing."""
    old = done(safe, "rotate")["before"]
    primary = done(safe, "status")["keys"][0]["id"]
    other = make_safe(_new_folder(tmp_path))
    foreign, unknown = other.path / "keys" / "public-ring.json", "0" * 16
    before = [path.read_bytes() for path in (safe.private_ring, safe.path / "keys" / "public-ring.json")]

    refusals = [
        (("retire", primary), "rotate first"),
        (("retire", unknown), "no key"),
        (("remove", primary), "rotate first"),
        (("remove", old), "retire it first"),
        (("remove", unknown), "no key"),
        (("remove", old, "--unchecked"), "leave out --unchecked"),
        (("rotate", "--private-ring", str(other.private_ring)), "has no key"),
        (("rotate", "--private-ring", str(tmp_path / "nothing.json")), "cannot be read"),
        (("install", str(tmp_path / "nothing.json")), "cannot be read"),
        (("install", str(safe.private_ring)), "wrong or missing field"),
    ]
    for arguments, words in refusals:
        assert refused(safe, words, *arguments), arguments
    assert refused(safe, "no database", "remove", old, data=False)

    assert before == [path.read_bytes() for path in (safe.private_ring, safe.path / "keys" / "public-ring.json")]
    assert primary == PublicRing.load(safe.path / "keys" / "public-ring.json").primary.id
    with Server(safe) as server, Wire.to(server) as wire:
        wire.upload("worker")
        assert wire.put("worker", "A").status == 200
    assert refused(safe, "Does it belong to this safe", "install", str(foreign))


@pytest.mark.parametrize("permission", ["Nightsafe Delivery", "Nightsafe All Access"])
def test_reseal_needs_its_permission(own_server: Server, permission: str) -> None:
    """Resealing with another token is refused; the message names the missing permission."""
    path = token_file(own_server.safe, permission)

    code, answer = keys(
        own_server.safe, "reseal", "--api", own_server.base_url, "--token-file", str(path),
        "--account-id", own_server.safe.account_id,
    )  # fmt: skip

    assert (1, True) == (code, RESEALING in answer)


def test_text_output_names_keys_counts_and_advice(own_server: Server) -> None:
    """The output without `--json` names the keys and counts, and says that the private ring needs a new backup."""
    safe = own_server.safe
    with Wire.to(own_server) as wire:
        store_three_values(wire)
    where = ("--data", str(safe.path))
    rotated = run("keys", "rotate", *where, cwd=safe.path.parent).stdout
    shown = run("keys", "status", *where, cwd=safe.path.parent).stdout

    primary, old = (key["id"] for key in done(safe, "status")["keys"])
    assert f"from {old} to {primary}" in rotated
    assert "Keep a new copy" in rotated
    assert [[primary, "x25519", "primary", "-"], [old, "x25519", "active", "3"]] == [
        line.split() for line in shown.splitlines()[1:3]
    ]
    assert "3 values wait to be resealed" in shown


def _new_folder(path: Path) -> Path:
    """Create an empty folder."""
    path = path / "other"
    path.mkdir()
    return path
