"""Changes of the two ring files, each replaced whole: the private one first, so that what can be sealed opens."""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from nightsafe.cli import drafts
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.private_ring import PrivateRing
from nightsafe.sealing.public_ring import PublicKey, PublicRing
from nightsafe.sealing.ring_file import State
from nightsafe.sealing.suite import Suite


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


def rotate(private: Path, public: Path, suite: Suite | None) -> Rotated:
    """Make a new primary key in both files. Without a public file there it is made.

    When the public file lacks the private ring's primary, a rotation was interrupted between the two: it is finished.

    Raises:
        NightsafeError: INVALID, when a file cannot be used, or the two do not belong together.
    """
    ring = PrivateRing.load(private)
    offered = PublicRing.load(public) if public.exists() else None
    if offered is not None:
        ring.check_covers(offered)
    before = (offered or ring.public()).primary.id
    resumed = offered is not None and offered.get(ring.public().primary.id) is None
    if not resumed:
        ring = ring.rotated(suite)
        ring.save(private, replace=True)
    _with_retired(ring.public(), offered).save(public, replace=True)
    return Rotated(ring.public().primary.id, before, resumed)


def install(new: Path, public: Path, values: Mapping[str, int]) -> PublicRing:
    """Put a public ring that was made elsewhere in the place of the one there is; gives the one that is there then.

    Args:
        new: the file that was handed over.
        public: the file in use.
        values: how many values are sealed to each key.

    Raises:
        NightsafeError: INVALID, when a file cannot be used; when the new ring lacks a key that values are sealed to;
            or when its primary was retired here.
    """
    handed, present = PublicRing.load(new), PublicRing.load(public)
    for key_id, count in values.items():
        if count and handed.get(key_id) is None and present.get(key_id) is not None:
            raise NightsafeError(
                Code.INVALID,
                f"{new}: lacks the key {key_id}, to which {count} values are sealed: is it of this safe?",
            )
    ring = _with_retired(handed, present)
    ring.save(public, replace=True)
    return ring


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
    ring = PublicRing.load(public)
    PublicRing([_retired(key) if key.id == key_id else key for key in ring.keys]).save(public, replace=True)
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
    PublicRing([one for one in PublicRing.load(public).keys if one.id != key_id]).save(public, replace=True)


def check_older(private: Path, key_id: str) -> None:
    """Refuse a key that is the private ring's primary, or not there.

    Raises:
        NightsafeError: INVALID.
    """
    PrivateRing.load(private).retired(key_id)


def remove_private(private: Path, key_id: str) -> None:
    """Take a key that is not the primary out of the private ring: what is sealed to it can never be opened again.

    Raises:
        NightsafeError: INVALID, when it is the primary or not there.
    """
    PrivateRing.load(private).retired(key_id).without(key_id).save(private, replace=True)


def _with_retired(ring: PublicRing, present: PublicRing | None) -> PublicRing:
    """A ring in which what is retired in another one stays so.

    Raises:
        NightsafeError: INVALID, when that is its primary.
    """
    gone = {key.id for key in present.keys if key.state is State.RETIRED} if present else set()
    if ring.primary.id in gone:
        raise NightsafeError(
            Code.INVALID,
            f"the key {ring.primary.id} is retired here and cannot be the primary: hand over a newer ring",
        )
    return PublicRing([_retired(key) if key.id in gone else key for key in ring.keys])


def _retired(key: PublicKey) -> PublicKey:
    """The same key, for no new values."""
    return PublicKey.load(key.suite, State.RETIRED, key.public)
