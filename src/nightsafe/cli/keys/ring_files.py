"""Changes the two ring files. Each is replaced whole, the private ring first, so that every sealed value opens."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nightsafe.cli.keys import drafts
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.rings.ring_file import State, check_not_older
from nightsafe.sealing.rings.ring_signer import public_ring
from nightsafe.sealing.suite import Suite
from nightsafe.services.key_rotation.recipient_keys import RecipientKeyRecord


class RotationResult(NamedTuple):
    """The result of a rotation.

    Attributes:
        primary: ID of the new primary key.
        before: ID of the previous primary key.
        resumed: whether an interrupted rotation had already made the new key.
    """

    primary: str
    before: str
    resumed: bool


@contextlib.contextmanager
def lock_rings(*files: Path) -> Iterator[None]:
    """Lock the directories of these files against other `keys` commands, which could overwrite each other's rings.

    Raises:
        NightsafeError: INVALID, if a directory cannot be opened; UNAVAILABLE, if another process has locked it.
    """
    with contextlib.ExitStack() as stack:
        for folder in sorted({file.absolute().parent for file in files}):
            try:
                descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError as error:
                raise NightsafeError(Code.INVALID, f"{folder} cannot be used: {error.strerror}") from None
            stack.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise NightsafeError(Code.UNAVAILABLE, f"another process is changing the rings in {folder}") from None
        drafts.sweep_beside(files)
        yield


def rotate(private: Path, public: Path, suite: Suite | None, key_record: RecipientKeyRecord) -> RotationResult:
    """Create a new primary key in both files. Create the public file if it does not exist.

    If the public file lacks only the private ring's primary key, a rotation was interrupted between the two
    files. Then this finishes that rotation.

    Args:
        private: file of the private ring.
        public: file of the public ring.
        suite: suite of the new key; None for the suite of the primary key.
        key_record: the database's knowledge of the keys; empty without a database.

    Raises:
        NightsafeError: INVALID, if a file cannot be used, or the two rings do not belong together.
    """
    ring = PrivateRing.load(private)
    offered = PublicRing.load(public) if public.exists() else None
    if offered is not None:
        _check_belongs(ring, offered, (private, public), key_record)
    before = (offered or ring.public()).primary.id
    rotated = ring.get(before)
    resumed = offered is not None and _is_interrupted(ring, offered)
    if not resumed:
        ring = ring.rotated(suite, key_record.number)
        ring.save(private, replace=True)
    _with_retired(public_ring(ring, offered, rotated), offered, key_record).save(public, replace=True)
    return RotationResult(ring.primary.id, before, resumed)


def sign(private: Path, public: Path) -> PublicRing:
    """Write the key that signs the next ring into the public ring. Return the ring.

    Raises:
        NightsafeError: INVALID, if a file cannot be used, or the two rings are not from the same rotation.
    """
    ring, offered = PrivateRing.load(private), PublicRing.load(public)
    ring.check_covers(offered)
    if ring.primary.id != offered.primary.id:
        raise NightsafeError(
            Code.INVALID,
            f"{public}: its primary key is not the primary key of {private}; rotate, or install",
        )
    signed = offered.with_lineage(public_ring(ring, offered).lineage)
    signed.save(public, replace=True)
    return signed


def _check_belongs(
    ring: PrivateRing, offered: PublicRing, files: tuple[Path, Path], key_record: RecipientKeyRecord
) -> None:
    """Refuse two rings that cannot belong to one safe, and a private ring that is an older copy.

    A numbered public ring may be an older copy too, with keys that were removed from the private ring since. These
    keys are dropped unless values are sealed to them. In the ring in use they must be retired first: a running server
    would refuse a ring without them.

    Raises:
        NightsafeError: INVALID.
    """
    private, public = files
    if offered.number > ring.number and any(ring.get(key.id) for key in offered.keys):
        raise NightsafeError(
            Code.INVALID,
            f"{private}: its number is {ring.number}, and the number of {public} is {offered.number}: the private "
            "ring is an older copy and lacks a key. Use its newest copy",
        )
    retired_keys = {
        key.id
        for key in offered.keys
        if ring.get(key.id) is None
        and not key_record.values.get(key.id)
        and (not key_record.number or key.state is State.RETIRED or key.id in key_record.retired)
    }
    if offered.number and offered.primary.id not in retired_keys:
        offered = offered.without(retired_keys)
    ring.check_covers(offered)


def _is_interrupted(ring: PrivateRing, offered: PublicRing) -> bool:
    """Return whether a rotation changed the private ring but was interrupted before it wrote the public ring."""
    is_before = offered.number in {0, ring.number - 1}
    return is_before and offered.get(ring.public().primary.id) is None


def install(new: Path, public: Path, key_record: RecipientKeyRecord) -> PublicRing:
    """Replace the public ring by one that was made on another machine. Return the ring that was written.

    Args:
        new: file of the new ring.
        public: file of the ring in use.
        key_record: the database's knowledge of the keys.

    Raises:
        NightsafeError: INVALID, if a file cannot be used; if the new ring lacks a key that values are sealed to; if
            it lacks another key in use that was not retired here, such as the primary key; if its own primary key was
            retired here; or if it is older than a ring that was in use here.
    """
    source, new_ring, current = str(new), PublicRing.load(new), PublicRing.load(public)
    if not any(current.get(key.id) or key.id in key_record.retired for key in new_ring.keys):
        # A ring of another safe gets this message, not "older".
        _refuse_lacking(source, new_ring, current, key_record)
    check_not_older(source, new_ring.number, max(key_record.number, current.number))
    _refuse_lacking(source, new_ring, current, key_record)
    ring = new_ring.as_successor_of(current, source, lambda: key_record.retired).with_retired(
        key_record.retired, source
    )
    removed = {key for key in key_record.retired if current.get(key) is None and not key_record.values.get(key)}
    ring = ring.without(removed)
    ring.save(public, replace=True)
    return ring


def _refuse_lacking(source: str, new_ring: PublicRing, current: PublicRing, key_record: RecipientKeyRecord) -> None:
    """Refuse a ring that lacks a key that values are sealed to.

    Raises:
        NightsafeError: INVALID, with the key and the number of values.
    """
    for key_id, count in key_record.values.items():
        if count and new_ring.get(key_id) is None and current.get(key_id) is not None:
            raise NightsafeError(
                Code.INVALID,
                f"{source}: it lacks the key {key_id}, to which {count} values are sealed. Does it belong to this "
                "safe?",
            )


def check_retirable(public: Path, key_id: str) -> None:
    """Refuse a key that cannot be retired.

    Raises:
        NightsafeError: INVALID, if it is not in the public ring, or is the primary key.
    """
    key = PublicRing.load(public).get(key_id)
    if key is None:
        raise NightsafeError(
            Code.INVALID, f"{public}: it has no key {key_id}; to see the keys, run: nightsafe keys status"
        )
    if key.state is State.PRIMARY:
        raise NightsafeError(
            Code.INVALID, f"the key {key_id} is the primary key; rotate first: nightsafe keys rotate"
        )


def retire(public: Path, private: Path, key_id: str) -> None:
    """Mark a key as retired in the public ring and, if its file is here, in the private ring."""
    PublicRing.load(public).with_retired({key_id}, str(public)).save(public, replace=True)
    if private.exists():
        ring = PrivateRing.load(private)
        if ring.get(key_id) is not None:
            ring.retired(key_id).save(private, replace=True)


def is_retired(public: Path, key_id: str) -> bool:
    """Return whether a key is retired in the public ring; False if the ring does not have it.

    Raises:
        NightsafeError: INVALID, if the ring has the key and it is not retired.
    """
    key = PublicRing.load(public).get(key_id)
    if key is not None and key.state is not State.RETIRED:
        raise NightsafeError(
            Code.INVALID, f"the key {key_id} is not retired; retire it first: nightsafe keys retire {key_id}"
        )
    return key is not None


def remove_public(public: Path, key_id: str) -> None:
    """Remove a key from the public ring."""
    PublicRing.load(public).without({key_id}).save(public, replace=True)


def check_removable(private: Path, copy: Path | None, key_id: str) -> None:
    """Refuse a key that is the private ring's primary key, or is in neither the private ring nor the public copy.

    Raises:
        NightsafeError: INVALID.
    """
    ring = PrivateRing.load(private)
    current = PublicRing.load(copy) if copy is not None and copy.exists() else None
    if current is not None and ring.get(current.primary.id) is None:
        raise NightsafeError(
            Code.INVALID,
            f"{copy}: its primary key {current.primary.id} is not in the private ring. Does it belong to this safe?",
        )
    if ring.get(key_id) is None and current is not None and current.get(key_id) is not None:
        return  # a removal was interrupted between the two files
    ring.retired(key_id)


def remove_private(private: Path, copy: Path | None, key_id: str) -> None:
    """Remove a key from the private ring. Values sealed to it can never be opened again.

    Args:
        private: file of the private ring.
        copy: copy of the public ring, not the one in use, or None. It is rewritten without the key.
        key_id: a key that passed `check_removable`.

    Raises:
        NightsafeError: INVALID, if a file cannot be used.
    """
    ring = PrivateRing.load(private)
    if ring.get(key_id) is not None:
        ring = ring.retired(key_id).without(key_id)
        ring.save(private, replace=True)
    if copy is not None:
        current = PublicRing.load(copy) if copy.exists() else None
        _with_retired(public_ring(ring, current), current, RecipientKeyRecord()).save(copy, replace=True)


def _with_retired(ring: PublicRing, current: PublicRing | None, key_record: RecipientKeyRecord) -> PublicRing:
    """Retire the keys of a ring that are retired in another ring or in the database.

    Raises:
        NightsafeError: INVALID, if the ring's primary key is one of them.
    """
    retired_elsewhere = {key.id for key in current.keys if key.state is State.RETIRED} if current else set()
    return ring.with_retired(retired_elsewhere | key_record.retired)
