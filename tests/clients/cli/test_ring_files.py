"""Ring files that were carried, copied and left behind; and whether anybody seals anew."""

from pathlib import Path
from typing import Final

import pytest
from tests.clients.cli.typed import Typist
from tests.clients.wire.talk import Wire
from tests.server import Server

from nightsafe.cli import rings
from nightsafe.errors import NightsafeError
from nightsafe.sealing.private_ring import PrivateRing
from nightsafe.sealing.public_ring import PublicRing
from nightsafe.workers.keys import Known

NOTHING: Final = Known()


class Files:
    """Where delivery is: a private ring, and the public one that is handed over."""

    def __init__(self, folder: Path) -> None:
        self.private, self.public = folder / "private.json", folder / "public.json"
        ring = PrivateRing.generate()
        ring.save(self.private)
        ring.public().save(self.public)

    def rotate(self) -> rings.Rotated:
        """A rotation there, where there is no database."""
        return rings.rotate(self.private, self.public, None, NOTHING)

    def keys(self) -> tuple[int, int]:
        """How many keys there are in either."""
        return len(PrivateRing.load(self.private).keys), len(PublicRing.load(self.public).keys)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Of one safe."""
    return Files(tmp_path)


def test_an_older_copy_of_the_private_ring_is_not_rotated(files: Files) -> None:
    """It lacks a key; two rings would come of it."""
    copy = files.private.read_bytes()
    files.rotate()
    files.private.write_bytes(copy)
    with pytest.raises(NightsafeError, match="older copy"):
        files.rotate()


def test_a_key_goes_from_both_files(files: Files) -> None:
    """Also when it was interrupted between the two; a copy that was left behind does not stop the next rotation."""
    old = files.rotate().before
    stale = files.public.read_bytes()
    rings.remove_private(files.private, None, old)
    assert (1, 2) == files.keys()
    rings.check_removable(files.private, files.public, old)
    rings.remove_private(files.private, files.public, old)
    assert (1, 1) == files.keys()
    with pytest.raises(NightsafeError, match="has no key"):
        rings.check_removable(files.private, files.public, old)

    files.public.write_bytes(stale)
    assert not files.rotate().resumed
    assert (2, 2) == files.keys()


def test_status_says_whether_anybody_seals_anew(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the token of the delivery page nobody does; one that may is named, and when it was last done."""
    typist, safe = Typist(monkeypatch), own_server.safe

    def nightsafe(*arguments: str) -> str:
        """A command at the data directory, which must end well."""
        environ: dict[str, str | None] = {"NIGHTSAFE_DATA": str(safe.path)}
        code, stdout, stderr = typist.command(*arguments, cwd=safe.path.parent, environ=environ)
        assert code == 0, stderr
        return stdout

    with Wire.to(own_server) as wire:
        wire.upload("worker")
        wire.put("worker", "TOKEN", "value")
    nightsafe("token", "create", "--permission", "Nightsafe Delivery", "--name", "delivery")
    assert "sealed anew" not in nightsafe("keys", "status")
    nightsafe("keys", "rotate")
    assert "1 values are to be sealed anew, and nobody does it: no token" in nightsafe("keys", "status")
    nightsafe("token", "create", "--permission", "Nightsafe Resealing", "--name", "another")
    status = nightsafe("keys", "status")
    assert "none was yet" in status
    assert "while it runs: another (" in status

    nightsafe("keys", "reseal")
    nightsafe("keys", "rotate")
    assert "the last was at 20" in nightsafe("keys", "status")
    assert "nightsafe keys reseal" not in nightsafe("token", "list")
