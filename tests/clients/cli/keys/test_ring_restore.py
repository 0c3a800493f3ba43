"""A backup from before a rotation, restored after it: keys that were removed since do not take new values."""

from pathlib import Path
from typing import Any

import pytest
from tests.clients.cli.doctor.test_doctor import examined
from tests.clients.cli.tools.in_process_shell import Typist
from tests.clients.stored_values import opened
from tests.clients.wire.talk import Wire
from tests.server import Safe, Server, run

from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing


class Nightsafe:
    """Runs commands with a data directory, in this process."""

    def __init__(self, safe: Safe, monkeypatch: pytest.MonkeyPatch) -> None:
        self._safe = safe
        self._typist = Typist(monkeypatch)

    def __call__(self, *arguments: str) -> tuple[int, str]:
        """Run a command; return its exit code and its output."""
        environ: dict[str, str | None] = {"NIGHTSAFE_DATA": str(self._safe.path)}
        code, stdout, stderr = self._typist.command(*arguments, cwd=self._safe.path.parent, environ=environ)
        return code, stdout + stderr


def key_states(safe: Safe) -> Any:
    """Return the state of each key of the public ring."""
    return {key.id: str(key.state) for key in PublicRing.load(safe.path / "keys" / "public-ring.json").keys}


@pytest.mark.parametrize("with_ring", [True, False], ids=["with the private ring", "without the private ring"])
def test_restoring_an_old_backup_keeps_removed_keys_retired(
    own_server: Server,
    monkeypatch: pytest.MonkeyPatch,
    with_ring: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """The newer ring stays and the removed key is retired; old values open if the backup has the private ring."""
    safe, backup = own_server.safe, "backup.tar"
    nightsafe = Nightsafe(safe, monkeypatch)
    with Wire.to(own_server) as wire:
        wire.upload("worker")
        wire.put("worker", "TOKEN", "value")
    assert 0 == nightsafe("backup", backup, *(["--with-private-ring"] if with_ring else []))[0]
    [old] = key_states(safe)
    for arguments in (("rotate",), ("reseal",), ("retire", old), ("remove", old)):
        assert 0 == nightsafe("keys", *arguments)[0]
    [primary] = key_states(safe)
    own_server.stop()

    assert 0 == nightsafe("restore", backup, "--force")[0]

    assert {primary: "primary", old: "retired"} == key_states(safe)
    assert {primary} | ({old} if with_ring else set()) == {key.id for key in PrivateRing.load(safe.private_ring).keys}
    assert "ok" == examined(safe, code=0 if with_ring else 1)["given up keys"]["state"]
    own_server.start()
    with Wire.to(own_server) as wire:
        assert 200 == wire.put("worker", "NEW", "newer").status
    if with_ring:
        assert {"TOKEN": "value", "NEW": "newer"} == opened(safe, "worker")
        for arguments in (("reseal",), ("remove", old)):
            assert 0 == nightsafe("keys", *arguments)[0]
        assert {primary: "primary"} == key_states(safe)
        assert {"TOKEN": "value", "NEW": "newer"} == opened(safe, "worker")


def test_a_server_does_not_start_with_an_older_ring(
    safe: Safe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No server starts after the ring file was replaced by an older one; the advice in the refusal works."""
    nightsafe, public = Nightsafe(safe, monkeypatch), safe.path / "keys" / "public-ring.json"
    first = public.read_bytes()
    assert 0 == nightsafe("keys", "rotate")[0]
    (tmp_path / "newest.json").write_bytes(public.read_bytes())
    (tmp_path / "newest.json").chmod(0o644)
    public.write_bytes(first)

    done = run(
        "serve", "--port", "0", "--data", str(safe.path), cwd=tmp_path
    )  # not in this process, since `serve` would sandbox it
    refusal = "is an older ring: its number is 1, but a ring with the number 2 has been used here"
    assert (1, True) == (done.returncode, refusal in done.stderr)

    assert 0 == nightsafe("keys", "install", str(tmp_path / "newest.json"))[0]
    with Server(safe) as server:
        assert server.port
