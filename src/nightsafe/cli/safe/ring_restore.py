"""What a restore does with rings: the keys of a backup come back, but none that was given up takes new values."""

from dataclasses import replace
from typing import NamedTuple

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.safe.database_copy import looked_at, ring_history
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.errors import NightsafeError
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.rings.ring_file import State
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.services.key_rotation.recipient_keys import retire_key, take_ring
from nightsafe.store.sqlite import SqliteStore


class _Since(NamedTuple):
    """How far the safe had come that is put aside: its ring, and the keys that it gave up."""

    ring: PublicRing
    retired: frozenset[str]


def keep_given_up(old: DataDirectory, new: DataDirectory) -> None:
    """Let a safe that is restored know what the same safe, which is put aside for it, has come to with its keys.

    The newer of the two rings is used. A key that only the backup has, or that was retired since, takes no new
    values; it opens what the backup has under it, as far as there is a private ring that has it.

    Args:
        old: the safe that is put aside.
        new: the one that is being made, which nobody serves yet.
    """
    since = _since(old, new)
    if since is None:
        return
    restored = PublicRing.load(new.public_ring)
    given_up = since.retired | {key.id for key in restored.keys if since.ring.get(key.id) is None}
    is_newer = since.ring.number > restored.number or restored.primary.id in given_up
    if not is_newer and not given_up:
        return
    ring = _joined(since.ring, restored) if is_newer else restored
    ring = ring.retiring(given_up - {ring.primary.id})
    ring.save(new.public_ring, replace=True)
    if is_newer:
        _join_private(old, new)

    async def remember(store: SqliteStore) -> None:
        """The same in the database."""
        for key_id in sorted(given_up - {ring.primary.id}):
            await retire_key(store, key_id, in_use=True)
        await take_ring(store, ring)

    new.run_unlocked(remember)  # it is held while it is made


def _since(old: DataDirectory, new: DataDirectory) -> _Since | None:
    """What the old safe has come to; None when it is another safe, or one that tells nothing."""
    try:
        if SigningKey.load(old.signing_key).id != SigningKey.load(new.signing_key).id:
            return None
        ring = PublicRing.load(old.public_ring)
        with looked_at(old.database) as db:
            number, retired = ring_history(db)
    except (NightsafeError, CommandError):
        return None
    return None if ring.number < number else _Since(ring, retired)


def _joined(newer: PublicRing, older: PublicRing) -> PublicRing:
    """A ring with the keys of an older one, which take no new values."""
    back = [key for key in older.keys if newer.get(key.id) is None]
    keys = [*newer.keys, *(replace(key, state=State.RETIRED) for key in back)]
    return PublicRing(keys, number=newer.number, lineage=newer.lineage)


def _join_private(old: DataDirectory, new: DataDirectory) -> None:
    """The private ring of the safe that is put aside, with the keys of the backup's that it lacks."""
    if not old.private_ring.exists():
        return
    try:
        ring = PrivateRing.load(old.private_ring)
        backed_up = PrivateRing.load(new.private_ring).keys if new.private_ring.exists() else ()
    except NightsafeError:
        return
    back = [key.in_state(State.RETIRED) for key in backed_up if ring.get(key.id) is None]
    PrivateRing([*ring.keys, *back], number=ring.number).save(new.private_ring, replace=True)
