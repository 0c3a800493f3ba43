"""Ring files that were copied or left behind; and whether any process reseals."""

import json
from pathlib import Path
from typing import Final

import pytest
from tests.clients.cli.tools.in_process_shell import Typist
from tests.clients.wire.talk import Wire
from tests.live.tools.running import until
from tests.server import Server

from nightsafe.cli.keys import ring_files
from nightsafe.errors import NightsafeError
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.services.key_rotation.recipient_keys import RecipientKeyRecord

NOTHING: Final = RecipientKeyRecord()


class Files:
    """The ring files of a delivery machine: a private ring, and the public ring for the API."""

    def __init__(self, folder: Path, ring: PrivateRing | None = None) -> None:
        self.private, self.public = folder / "private.json", folder / "public.json"
        ring = ring or PrivateRing.generate()
        ring.save(self.private)
        ring.public().save(self.public)

    def rotate(self) -> ring_files.RotationResult:
        """A rotation there, where there is no database."""
        return ring_files.rotate(self.private, self.public, None, NOTHING)

    def keys(self) -> tuple[int, int]:
        """Return the number of keys in the private and in the public ring."""
        return len(PrivateRing.load(self.private).keys), len(PublicRing.load(self.public).keys)


def _key_folder(path: Path) -> Path:
    """Create a folder for keys."""
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Return the ring files of a new safe."""
    return Files(tmp_path)


def test_an_older_copy_of_the_private_ring_is_not_rotated(files: Files) -> None:
    """`rotate` refuses a private ring that lacks a key of the public ring, since two different rings would result."""
    copy = files.private.read_bytes()
    files.rotate()
    files.private.write_bytes(copy)
    with pytest.raises(NightsafeError, match="older copy"):
        files.rotate()


def test_remove_deletes_a_key_from_both_ring_files(files: Files) -> None:
    """An interrupted `remove` can be repeated; a public ring that still has the key does not stop a rotation."""
    old = files.rotate().before
    stale = files.public.read_bytes()
    ring_files.remove_private(files.private, None, old)
    assert (1, 2) == files.keys()
    ring_files.check_removable(files.private, files.public, old)
    ring_files.remove_private(files.private, files.public, old)
    assert (1, 1) == files.keys()
    with pytest.raises(NightsafeError, match="has no key"):
        ring_files.check_removable(files.private, files.public, old)

    files.public.write_bytes(stale)
    assert not files.rotate().resumed
    assert (2, 2) == files.keys()


def test_a_ring_from_a_diverging_rotation_is_refused(
    own_server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Such a ring is neither installed nor used by the running server; the advice in the refusal works."""
    typist, safe, public = Typist(monkeypatch), own_server.safe, own_server.safe.path / "keys" / "public-ring.json"

    def keys(*arguments: str) -> tuple[int, str, str]:
        """Run a `keys` command with the data directory."""
        return typist.command("keys", *arguments, cwd=safe.path, environ={"NIGHTSAFE_DATA": str(safe.path)})

    first, diverging = (
        Files(_key_folder(tmp_path / name), PrivateRing.load(safe.private_ring)) for name in ("1", "2")
    )
    in_use = first.rotate().primary
    assert 0 == keys("install", str(first.public))[0]
    for _ in range(3):
        diverging.rotate()

    code, _, message = keys("install", str(diverging.public))
    assert (1, True) == (code, f"lacks the key {in_use}, the primary of the ring in use" in message)
    assert in_use == PublicRing.load(public).primary.id

    whole = public.read_bytes()
    with Wire.to(own_server) as wire:
        wire.upload("worker")
        for name in ("BEFORE", "AFTER"):
            assert 200 == wire.put("worker", name).status
            public.write_bytes(diverging.public.read_bytes())
    public.write_bytes(whole)
    until(lambda: f"lacks the key {in_use}" in own_server.stderr.read_text())
    assert {in_use: 2} == {key["id"]: key["values"] for key in json.loads(keys("status", "--json")[1])["keys"][:1]}

    newer = first.rotate().primary
    assert 0 == keys("install", str(first.public))[0]
    assert newer == PublicRing.load(public).primary.id


def test_rotate_does_not_drop_a_key_of_the_ring_in_use(files: Files) -> None:
    """A running server would refuse a ring without that key, so the key must be retired first."""
    old = files.rotate().before
    ring_files.remove_private(files.private, None, old)
    with pytest.raises(NightsafeError, match=f"has no key {old}"):
        ring_files.rotate(files.private, files.public, None, RecipientKeyRecord(number=2))
    assert not ring_files.rotate(
        files.private, files.public, None, RecipientKeyRecord(number=2, retired=frozenset({old}))
    ).resumed


def test_keys_status_names_the_tokens_that_may_reseal(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """`keys status` names the tokens that may reseal and the last time; a delivery token does not count."""
    typist, safe = Typist(monkeypatch), own_server.safe

    def nightsafe(*arguments: str) -> str:
        """Run a command with the data directory; it must succeed."""
        environ: dict[str, str | None] = {"NIGHTSAFE_DATA": str(safe.path)}
        code, stdout, stderr = typist.command(*arguments, cwd=safe.path.parent, environ=environ)
        assert code == 0, stderr
        return stdout

    with Wire.to(own_server) as wire:
        wire.upload("worker")
        wire.put("worker", "TOKEN", "value")
    nightsafe("token", "create", "--permission", "Nightsafe Delivery", "--name", "delivery")
    assert "resealed" not in nightsafe("keys", "status")
    nightsafe("keys", "rotate")
    assert "1 values wait to be resealed, but no process does it: no token" in nightsafe("keys", "status")
    nightsafe("token", "create", "--permission", "Nightsafe Resealing", "--name", "another")
    status = nightsafe("keys", "status")
    assert "none has been yet" in status
    assert "A running process with one of these tokens does it: another (" in status

    nightsafe("keys", "reseal")
    nightsafe("keys", "rotate")
    assert "the last one was at 20" in nightsafe("keys", "status")
    assert "nightsafe keys reseal" not in nightsafe("token", "list")
