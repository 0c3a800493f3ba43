"""Backups: tar archives of a safe, which `nightsafe restore` unpacks."""

import tempfile
from pathlib import Path

from nightsafe.cli.safe.archive import NEEDED, PRIVATE_RING, Manifest, ProgressCallback, read_archive
from nightsafe.cli.terminal.errors import CommandError

_FOLDER = tempfile.TemporaryDirectory(prefix="nightsafe-fuzz-")


def check(data: bytes) -> None:
    """Check that it is refused, or unpacked to the files of a safe, and that nothing is written beside them."""
    with tempfile.TemporaryDirectory(dir=_FOLDER.name) as name:
        archive, into = Path(name) / "backup", Path(name) / "safe"
        archive.write_bytes(data)
        into.mkdir()
        try:
            read_archive(archive, into, _told)
        except CommandError:
            pass
        else:
            assert all((into / file).is_file() for file in NEEDED)
        found = {path.relative_to(name).as_posix() for path in Path(name).rglob("*") if not path.is_dir()}
        assert found <= {"backup", *(f"safe/{file}" for file in (*NEEDED, PRIVATE_RING))}


def _told(manifest: Manifest) -> ProgressCallback:
    """What is told of the progress."""
    assert manifest.size is not None
    return lambda _: None
