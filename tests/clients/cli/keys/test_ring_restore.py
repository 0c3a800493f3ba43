"""A backup of before a rotation, restored after it: no key that was given up since takes new values again."""

from pathlib import Path
from typing import Any

import pytest
from tests.clients.cli.safe.test_doctor import examined
from tests.clients.cli.tools.typed import Typist
from tests.clients.opened import opened
from tests.clients.wire.talk import Wire
from tests.server import Safe, Server, run

from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing


class Nightsafe:
    """Commands at a data directory, in this process."""

    def __init__(self, safe: Safe, monkeypatch: pytest.MonkeyPatch) -> None:
        self._safe = safe
        self._typist = Typist(monkeypatch)

    def __call__(self, *arguments: str) -> tuple[int, str]:
        """One of them: its exit code and what it says."""
        environ: dict[str, str | None] = {"NIGHTSAFE_DATA": str(self._safe.path)}
        code, stdout, stderr = self._typist.command(*arguments, cwd=self._safe.path.parent, environ=environ)
        return code, stdout + stderr


def ring_of(safe: Safe) -> Any:
    """State of each key of the public ring."""
    return {key.id: str(key.state) for key in PublicRing.load(safe.path / "keys" / "public-ring.json").keys}


@pytest.mark.parametrize("with_ring", [True, False])
def test_a_backup_of_before_a_rotation(own_server: Server, monkeypatch: pytest.MonkeyPatch, with_ring: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """The newer ring stays, the removed key is retired; what the backup has opens if its private ring is in it."""
    safe, backup = own_server.safe, "backup.tar"
    nightsafe = Nightsafe(safe, monkeypatch)
    with Wire.to(own_server) as wire:
        wire.upload("worker")
        wire.put("worker", "TOKEN", "value")
    assert 0 == nightsafe("backup", backup, *(["--with-private-ring"] if with_ring else []))[0]
    [old] = ring_of(safe)
    for arguments in (("rotate",), ("reseal",), ("retire", old), ("remove", old)):
        assert 0 == nightsafe("keys", *arguments)[0]
    [primary] = ring_of(safe)
    own_server.stop()

    assert 0 == nightsafe("restore", backup, "--force")[0]

    assert {primary: "primary", old: "retired"} == ring_of(safe)
    assert {primary} | ({old} if with_ring else set()) == {key.id for key in PrivateRing.load(safe.private_ring).keys}
    assert "ok" == examined(safe, code=0 if with_ring else 1)["given-up keys"]["state"]
    own_server.start()
    with Wire.to(own_server) as wire:
        assert 200 == wire.put("worker", "NEW", "newer").status
    if with_ring:
        assert {"TOKEN": "value", "NEW": "newer"} == opened(safe, "worker")
        for arguments in (("reseal",), ("remove", old)):
            assert 0 == nightsafe("keys", *arguments)[0]
        assert {primary: "primary"} == ring_of(safe)
        assert {"TOKEN": "value", "NEW": "newer"} == opened(safe, "worker")


def test_an_older_ring_is_not_served(safe: Safe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """When its file was put back while no server ran, none starts; the way out works."""
    nightsafe, public = Nightsafe(safe, monkeypatch), safe.path / "keys" / "public-ring.json"
    first = public.read_bytes()
    assert 0 == nightsafe("keys", "rotate")[0]
    (tmp_path / "newest.json").write_bytes(public.read_bytes())
    (tmp_path / "newest.json").chmod(0o644)
    public.write_bytes(first)

    done = run("serve", "--port", "0", "--data", str(safe.path), cwd=tmp_path)  # it would confine this process
    said = "is an older ring: its number is 1, but a ring with the number 2 has been used here"
    assert (1, True) == (done.returncode, said in done.stderr)

    assert 0 == nightsafe("keys", "install", str(tmp_path / "newest.json"))[0]
    with Server(safe) as server:
        assert server.port
