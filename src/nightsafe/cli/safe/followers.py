"""Carries over, in a restore, how far this machine's followers had followed the log of the renamed safe.

They are its delivery process and its audit sinks. No backup has their files, and with older ones delivery could not
notice that the log was put back, and a sink would get the whole log again.
"""

from pathlib import Path
from typing import Final

from nightsafe.audit.sinks.position import Mark, Position
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.safe.database_copy import open_read_only
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.sealing import files

_LOCK: Final = ".lock"
_SINK: Final = "audit-sink-"
_SIZE: Final = "SELECT coalesce(max(seq), 0) FROM audit"
_LEAF: Final = "SELECT leaf FROM audit WHERE seq = ?"


def carry_over(old: DataDirectory, database: Path, new: DataDirectory) -> tuple[str, ...]:
    """Carry over the files of marks as they are, and each sink's position as far as the restored log has it.

    Args:
        old: the safe that is being renamed.
        database: a SQLite file with its rows.
        new: the restored safe, which has no entry yet that is not in the backup.

    Returns:
        The names of the files, in the data directory.
    """
    carried = []
    for path in sorted(old.marks.parent.glob(f"{old.marks.stem}*")):
        if path.suffix != _LOCK and path.is_file():
            files.write(new.marks.with_name(path.name), path.read_bytes(), private=True, replace=False)
            carried.append(str(path.relative_to(old.path)))
    for path in sorted(old.path.glob(f"{_SINK}{'[0-9a-f]' * 16}")):
        digest = path.name.removeprefix(_SINK)
        mark = _common(_read(old.path, digest), database, new.database)
        if mark.seq:
            _write(new.path, digest, mark)
            carried.append(path.name)
    return tuple(carried)


def _common(mark: Mark, old: Path, new: Path) -> Mark:
    """Return the last entry of the restored log that a sink has accepted; the beginning if it cannot be known."""
    try:
        with open_read_only(new) as db:
            seq = min(mark.seq, int(db.execute(_SIZE).fetchone()[0]))
            restored = db.execute(_LEAF, (seq,)).fetchone()
        if seq == mark.seq:
            return mark  # the sink's shipper compares the entry
        with open_read_only(old) as db:
            accepted = db.execute(_LEAF, (seq,)).fetchone()
    except CommandError:
        return Mark()
    return Mark(seq, restored[0].hex()) if restored and restored == accepted else Mark()


def _read(data: Path, digest: str) -> Mark:
    """Read the position of a sink."""
    position = Position(data, digest)
    try:
        return position.read()
    finally:
        position.close()


def _write(data: Path, digest: str, mark: Mark) -> None:
    """Write the position of a sink."""
    position = Position(data, digest)
    try:
        position.write(mark)
    finally:
        position.close()
