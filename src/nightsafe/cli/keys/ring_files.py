"""Changes of the two ring files, each replaced whole: the private one first, so that what can be sealed opens."""

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
from nightsafe.services.key_rotation.recipient_keys import Known


class Rotated(NamedTuple):
    """What a rotation came to.

    Attributes:
        primary: id of the key that new values are sealed to.
        before: id of the one before.
        resumed: whether the key had been made by a rotation that was interrupted.
    """

    primary: str
    before: str
    resumed: bool


@contextlib.contextmanager
def alone_with(*files: Path) -> Iterator[None]:
    """While no other process of these commands changes files in the same directories: one of two rings would be lost.

    Raises:
        NightsafeError: INVALID, when a directory is not there; UNAVAILABLE, when another process is at it.
    """
    with contextlib.ExitStack() as held:
        for folder in sorted({file.absolute().parent for file in files}):
            try:
                descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError as error:
                raise NightsafeError(Code.INVALID, f"{folder} cannot be used: {error.strerror}") from None
            held.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise NightsafeError(Code.UNAVAILABLE, f"another process changes the rings in {folder}") from None
        drafts.sweep_beside(files)
        yield


def rotate(private: Path, public: Path, suite: Suite | None, known: Known) -> Rotated:
    """Make a new primary key in both files. Without a public file there it is made.

    When the public file lacks only the private ring's primary, a rotation was interrupted between the two: it is
    finished.

    Args:
        private: the private ring's file.
        public: the public ring's file.
        suite: of the new key; None for that of the primary.
        known: what the database knows, where there is one.

    Raises:
        NightsafeError: INVALID, when a file cannot be used, or the two do not belong together.
    """
    ring = PrivateRing.load(private)
    offered = PublicRing.load(public) if public.exists() else None
    if offered is not None:
        _check_belongs(ring, offered, (private, public), known)
    before = (offered or ring.public()).primary.id
    rotated = ring.get(before)
    resumed = offered is not None and _is_interrupted(ring, offered)
    if not resumed:
        ring = ring.rotated(suite, known.number)
        ring.save(private, replace=True)
    _with_retired(public_ring(ring, offered, rotated), offered, known).save(public, replace=True)
    return Rotated(ring.primary.id, before, resumed)


def sign(private: Path, public: Path) -> PublicRing:
    """Write into the public ring who signs the one after it; gives the ring.

    Raises:
        NightsafeError: INVALID, when a file cannot be used, or the two are not of one rotation.
    """
    ring, offered = PrivateRing.load(private), PublicRing.load(public)
    ring.check_covers(offered)
    if ring.primary.id != offered.primary.id:
        raise NightsafeError(Code.INVALID, f"{public}: its primary key is not that of {private}; rotate, or install")
    signed = offered.of(public_ring(ring, offered).lineage)
    signed.save(public, replace=True)
    return signed


def _check_belongs(ring: PrivateRing, offered: PublicRing, files: tuple[Path, Path], known: Known) -> None:
    """Refuse two rings that cannot be of one safe, and a private one that is an older copy.

    A numbered public ring may have keys that were removed from the private one since: it is an older copy, too, and
    they go, unless values are sealed to them. In the ring in use, they must be retired: a server that runs would not
    take up a ring without them.

    Raises:
        NightsafeError: INVALID.
    """
    private, public = files
    if offered.number > ring.number and any(ring.get(key.id) for key in offered.keys):
        raise NightsafeError(
            Code.INVALID,
            f"{private}: its number is {ring.number} and that of {public} {offered.number}: it is an older copy, "
            "which lacks a key. Take the newest copy of the private ring",
        )
    given_up = {
        key.id
        for key in offered.keys
        if ring.get(key.id) is None
        and not known.values.get(key.id)
        and (not known.number or key.state is State.RETIRED or key.id in known.retired)
    }
    if offered.number and offered.primary.id not in given_up:
        offered = offered.without(given_up)
    ring.check_covers(offered)


def _is_interrupted(ring: PrivateRing, offered: PublicRing) -> bool:
    """Whether the private ring was rotated and the public one was not written any more."""
    is_before = offered.number in {0, ring.number - 1}
    return is_before and offered.get(ring.public().primary.id) is None


def install(new: Path, public: Path, known: Known) -> PublicRing:
    """Put a public ring that was made elsewhere in the place of the one there is; gives the one that is there then.

    Args:
        new: the file that was handed over.
        public: the file in use.
        known: what the database knows.

    Raises:
        NightsafeError: INVALID, when a file cannot be used; when the new ring lacks a key that values are sealed to;
            when it lacks another key that is in use and was not retired here, as the primary; when its own primary
            was retired here; or when it is older than one that was in use here.
    """
    source, handed, present = str(new), PublicRing.load(new), PublicRing.load(public)
    if not any(present.get(key.id) or key.id in known.retired for key in handed.keys):
        _refuse_lacking(source, handed, present, known)  # a stranger's ring is no older one
    check_not_older(source, handed.number, max(known.number, present.number))
    _refuse_lacking(source, handed, present, known)
    ring = handed.succeeding(present, source, lambda: known.retired).retiring(known.retired, source)
    removed = {key for key in known.retired if present.get(key) is None and not known.values.get(key)}
    ring = ring.without(removed)
    ring.save(public, replace=True)
    return ring


def _refuse_lacking(source: str, handed: PublicRing, present: PublicRing, known: Known) -> None:
    """Refuse a ring without a key that values are sealed to.

    Raises:
        NightsafeError: INVALID, with the key and how many there are.
    """
    for key_id, count in known.values.items():
        if count and handed.get(key_id) is None and present.get(key_id) is not None:
            raise NightsafeError(
                Code.INVALID,
                f"{source}: lacks the key {key_id}, to which {count} values are sealed: is it of this safe?",
            )


def check_retirable(public: Path, key_id: str) -> None:
    """Refuse a key that cannot be retired.

    Raises:
        NightsafeError: INVALID, when it is not in the public ring, or is the primary.
    """
    key = PublicRing.load(public).get(key_id)
    if key is None:
        raise NightsafeError(Code.INVALID, f"{public}: has no key {key_id}; see: nightsafe keys status")
    if key.state is State.PRIMARY:
        raise NightsafeError(Code.INVALID, f"the key {key_id} is the primary; rotate first: nightsafe keys rotate")


def retire(public: Path, private: Path, key_id: str) -> None:
    """Mark a key as retired in the public ring and, where that is, in the private one."""
    PublicRing.load(public).retiring({key_id}, str(public)).save(public, replace=True)
    if private.exists():
        ours = PrivateRing.load(private)
        if ours.get(key_id) is not None:
            ours.retired(key_id).save(private, replace=True)


def is_retired(public: Path, key_id: str) -> bool:
    """Whether a key is retired in the public ring; False when it is not there.

    Raises:
        NightsafeError: INVALID, when it is there and takes new values.
    """
    key = PublicRing.load(public).get(key_id)
    if key is not None and key.state is not State.RETIRED:
        raise NightsafeError(
            Code.INVALID, f"the key {key_id} is not retired; retire it first: nightsafe keys retire {key_id}"
        )
    return key is not None


def remove_public(public: Path, key_id: str) -> None:
    """Take a key out of the public ring."""
    PublicRing.load(public).without({key_id}).save(public, replace=True)


def check_removable(private: Path, copy: Path | None, key_id: str) -> None:
    """Refuse a key that is the private ring's primary, or neither there nor in the copy of the public ring.

    Raises:
        NightsafeError: INVALID.
    """
    ring = PrivateRing.load(private)
    present = PublicRing.load(copy) if copy is not None and copy.exists() else None
    if present is not None and ring.get(present.primary.id) is None:
        raise NightsafeError(
            Code.INVALID,
            f"{copy}: its primary key {present.primary.id} is not in the private ring: is it of this safe?",
        )
    if ring.get(key_id) is None and present is not None and present.get(key_id) is not None:
        return  # a removal was interrupted between the two
    ring.retired(key_id)


def remove_private(private: Path, copy: Path | None, key_id: str) -> None:
    """Take a key out of the private ring: what is sealed to it can never be opened again.

    Args:
        private: the private ring's file.
        copy: where the public ring is that is handed over, and not in use; it is made anew, so that it has not got
            the key any more either.
        key_id: a key that `check_removable` lets go.

    Raises:
        NightsafeError: INVALID, when a file cannot be used.
    """
    ring = PrivateRing.load(private)
    if ring.get(key_id) is not None:
        ring = ring.retired(key_id).without(key_id)
        ring.save(private, replace=True)
    if copy is not None:
        present = PublicRing.load(copy) if copy.exists() else None
        _with_retired(public_ring(ring, present), present, Known()).save(copy, replace=True)


def _with_retired(ring: PublicRing, present: PublicRing | None, known: Known) -> PublicRing:
    """A ring in which what is retired in another one, or in the database, stays so.

    Raises:
        NightsafeError: INVALID, when that is its primary.
    """
    gone = {key.id for key in present.keys if key.state is State.RETIRED} if present else set()
    return ring.retiring(gone | known.retired)
