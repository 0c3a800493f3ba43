"""`nightsafe keys`: a rotation from its beginning to the removal of the old key, on one machine and on two."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.clients.opened import opened
from tests.clients.wire.talk import Wire
from tests.server import Safe, Server, make_safe, run

from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing

RESEALING = "Nightsafe Resealing"


def keys(safe: Safe, *arguments: str, data: bool = True) -> tuple[int, Any]:
    """The exit code of a command and what it prints as JSON, or its refusal."""
    where = ("--data", str(safe.path)) if data else ("--data", str(safe.path.parent / "nowhere"))
    done = run("keys", *arguments, *where, "--json", cwd=safe.path.parent)
    return done.returncode, json.loads(done.stdout) if done.returncode == 0 else done.stderr


def done(safe: Safe, *arguments: str, data: bool = True) -> Any:
    """What a command prints that must succeed."""
    code, told = keys(safe, *arguments, data=data)
    assert code == 0, told
    return told


def refused(safe: Safe, words: str, *arguments: str, data: bool = True) -> bool:
    """Whether a command is refused in these words."""
    code, told = keys(safe, *arguments, data=data)
    return code == 1 and words in told


def states(safe: Safe) -> list[tuple[str, int]]:
    """State and number of values of each key, the newest first."""
    return [(key["state"], key["values"]) for key in done(safe, "status")["keys"]]


def token_file(safe: Safe, *permissions: str) -> Path:
    """A file of a token with these permissions."""
    chosen = [part for one in permissions for part in ("--permission", one)]
    made = run("token", "create", "--no-expiry", "--data", str(safe.path), *chosen, cwd=safe.path.parent)
    assert (0, "") == (made.returncode, made.stderr)
    path = safe.path.parent / f"token-{len(permissions)}-{permissions[0].replace(' ', '-')}"
    path.touch(0o600)
    path.write_text(made.stdout)
    return path


def reseal(server: Server, *arguments: str) -> tuple[int, Any]:
    """`keys reseal` against a server."""
    path = token_file(server.safe, RESEALING)
    return keys(
        server.safe, "reseal", "--api", server.base_url, "--token-file", str(path), "--rest", "0",
        "--account-id", server.safe.account_id, *arguments,
    )  # fmt: skip


def filled(wire: Wire) -> None:
    """Three values, one of them only in a version that was."""
    wire.upload("worker")
    for name, value in (("A", "old"), ("A", "new"), ("B", "other")):
        assert wire.put("worker", name, value).status == 200


def test_a_rotation_on_one_machine(own_server: Server) -> None:
    """The running server seals to the new key at once; all is sealed anew, and the old key can go; values stay."""
    safe = own_server.safe
    with Wire.to(own_server) as wire:
        filled(wire)
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


def test_a_rotation_on_two_machines(own_server: Server, tmp_path: Path) -> None:
    """The private ring is rotated where it is, its public half handed over; no command needs both."""
    safe, elsewhere = own_server.safe, tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    private, handed = elsewhere / "ring.json", elsewhere / "public.json"
    shutil.move(safe.private_ring, private)
    with Wire.to(own_server) as wire:
        filled(wire)
        old = done(safe, "status")["keys"][0]["id"]
        rotated = done(safe, "rotate", "--private-ring", str(private), "--public-ring", str(handed), data=False)
        assert wire.put("worker", "B", "before the ring came").status == 200
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
    assert {"A": "new", "B": "before the ring came", "C": "after"} == opened(safe, "worker")


def test_what_is_retired_stays_so(own_server: Server, tmp_path: Path) -> None:
    """A ring that is handed over later does not let an older key take values again, nor make it the primary."""
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


def test_an_interrupted_rotation_is_finished(safe: Safe, tmp_path: Path) -> None:
    """When only the private ring was written, the next call hands the same key over instead of making another."""
    public = tmp_path / "public.json"
    shutil.copy(safe.path / "keys" / "public-ring.json", public)
    first = done(safe, "rotate")
    shutil.copy(public, safe.path / "keys" / "public-ring.json")

    assert first | {"resumed": True} == done(safe, "rotate")
    assert not done(safe, "rotate")["resumed"]
    assert 3 == len(PrivateRing.load(safe.private_ring).keys)


def test_another_suite(safe: Safe) -> None:
    """The new key can be of the hybrid suite, and the next is of the same."""
    for chosen in (("--suite", "mlkem768-x25519"), ()):
        done(safe, "rotate", *chosen)
        assert "mlkem768-x25519" == done(safe, "status")["keys"][0]["suite"]


def test_what_is_refused(safe: Safe, tmp_path: Path) -> None:
    """Whatever would lose a value or leave the safe without a key, with the way out; nothing has changed then."""
    primary = done(safe, "status")["keys"][0]["id"]
    old = done(safe, "rotate")["before"]
    primary = done(safe, "status")["keys"][0]["id"]
    other = make_safe(_folder(tmp_path))
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
def test_only_with_the_permission(own_server: Server, permission: str) -> None:
    """Any other token is refused, by the name of the permission that it lacks."""
    path = token_file(own_server.safe, permission)

    code, told = keys(
        own_server.safe, "reseal", "--api", own_server.base_url, "--token-file", str(path),
        "--account-id", own_server.safe.account_id,
    )  # fmt: skip

    assert (1, True) == (code, RESEALING in told)


def test_for_people(own_server: Server) -> None:
    """What is printed without --json names the keys, the counts and what to keep."""
    safe = own_server.safe
    with Wire.to(own_server) as wire:
        filled(wire)
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


def _folder(path: Path) -> Path:
    """A folder of its own."""
    path = path / "other"
    path.mkdir()
    return path
