"""Merges key rings in a restore: the backup's keys return, but a key retired or removed since takes no new values."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.node.restored_keys import is_same_safe
from nightsafe.cli.safe.database_copy import open_read_only, ring_history
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.errors import NightsafeError
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.rings.ring_file import State
from nightsafe.services.key_rotation.recipient_keys import record_ring, retire_key
from nightsafe.store.interface import Store


class _OldSafe(NamedTuple):
    """The state of the renamed safe: its public ring and its retired keys."""

    ring: PublicRing
    retired: frozenset[str]


def merge_rings(old: DataDirectory, database: Path, new: DataDirectory) -> None:
    """Carry changes of keys from a renamed safe over to its restored backup.

    The newer of the two rings is used. A key that only the backup has, or that was retired after the backup, takes no
    new values. It still opens the backup's values under it, if a private ring has it.

    Args:
        old: the renamed safe.
        database: a SQLite file with its rows.
        new: the restored safe, which no process serves yet.
    """
    old_safe = _read_old_safe(old, database, new)
    if old_safe is None:
        return
    restored = PublicRing.load(new.public_ring)
    given_up = old_safe.retired | {key.id for key in restored.keys if old_safe.ring.get(key.id) is None}
    is_newer = old_safe.ring.number > restored.number or restored.primary.id in given_up
    if not is_newer and not given_up:
        return
    ring = _merge_public(old_safe.ring, restored) if is_newer else restored
    ring = ring.with_retired(given_up - {ring.primary.id})
    ring.save(new.public_ring, replace=True)
    if is_newer:
        _merge_private(old, new)

    async def remember(store: Store) -> None:
        """Record the retired keys and the ring in the database."""
        for key_id in sorted(given_up - {ring.primary.id}):
            await retire_key(store, key_id, in_use=True)
        await record_ring(store, ring)

    new.run_unlocked(remember)  # the caller holds the lock


def _read_old_safe(old: DataDirectory, database: Path, new: DataDirectory) -> _OldSafe | None:
    """Return the state of the renamed safe; None if it is a different safe or cannot be read."""
    try:
        if not is_same_safe(old, new):
            return None
        ring = PublicRing.load(old.public_ring)
        with open_read_only(database) as db:
            number, retired = ring_history(db)
    except (NightsafeError, CommandError):
        return None
    return None if ring.number < number else _OldSafe(ring, retired)


def _merge_public(newer: PublicRing, older: PublicRing) -> PublicRing:
    """Add the keys of an older ring to a newer one, as retired keys."""
    returning = [key for key in older.keys if newer.get(key.id) is None]
    keys = [*newer.keys, *(replace(key, state=State.RETIRED) for key in returning)]
    return PublicRing(keys, number=newer.number, lineage=newer.lineage)


def _merge_private(old: DataDirectory, new: DataDirectory) -> None:
    """Write a private ring with the renamed safe's keys and, as retired keys, the backup's other keys."""
    if not old.private_ring.exists():
        return
    try:
        ring = PrivateRing.load(old.private_ring)
        backed_up = PrivateRing.load(new.private_ring).keys if new.private_ring.exists() else ()
    except NightsafeError:
        return
    returning = [key.in_state(State.RETIRED) for key in backed_up if ring.get(key.id) is None]
    PrivateRing([*ring.keys, *returning], number=ring.number).save(new.private_ring, replace=True)
