"""Checks the key files and that they belong together."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from nightsafe.cli.doctor.examination import Examination, Finding, State
from nightsafe.cli.safe.database_copy import key_ids, open_read_only, ring_history, used_primaries
from nightsafe.errors import NightsafeError
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.rings.ring_file import State as RingState
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys

_FOREIGN: Final = "the key files belong to another safe: restore them from a backup"
_INSTALL: Final = (
    "copy keys/public-ring.json from another node, or the public ring from the machine of the private ring, and run:"
    " nightsafe keys install FILE"
)


def key_files(safe: Examination) -> Iterator[Finding]:
    """Check that the key files for serving exist, are intact, and belong to one safe."""
    if not safe.is_there:
        return
    files = safe.directory
    try:
        ring, signing, verify = (
            PublicRing.load(files.public_ring),
            SigningKey.load(files.signing_key),
            VerifyKeys.load(files.verify_keys),
        )
    except NightsafeError as error:
        yield Finding(
            State.FAILED, "key files", error.problems[0].detail, "repair it, or restore the file from a backup"
        )
        return
    yield Finding(State.OK, "public ring", f"{len(ring.keys)} keys, primary {ring.primary.id}")
    yield _own_key(signing.id, verify, files.signing_key.parent)
    if len(verify.keys) > 1:
        retired = sum(key.until is not None for key in verify.keys)
        names = ", ".join(key.name or key.id for key in verify.keys if key.until is None)
        yield Finding(State.OK, "nodes' keys", f"{len(verify.keys) - retired} in use ({names}), {retired} retired")


def _own_key(key_id: str, verify: VerifyKeys, folder: Path) -> Finding:
    """Check that everybody trusts what this node signs."""
    own = verify.get(key_id)
    if own is None:
        found = f"{key_id} is not one of the verification keys: delivery would refuse every new value"
        return Finding(State.FAILED, "signing key", found, f"copy both files from one backup to {folder}")
    if own.until is not None:
        found = f"{own.words} is retired: nobody would trust what this node signs"
        return Finding(State.FAILED, "signing key", found, "make a new node from another one's: nightsafe node add")
    return Finding(State.OK, "signing key", own.words)


def private_ring(safe: Examination) -> Iterator[Finding]:
    """Check whether the private ring is on this machine, and whether it fits the public ring."""
    path = safe.directory.private_ring
    if not safe.is_there:
        return
    older = safe.directory.public_ring.parent / path.name
    if older.exists():
        found = f"it is in {older.parent}, where early versions kept it and the API process can read it"
        advice = f"run: mkdir -p -m 700 {path.parent}; mv {older} {path}"
        yield Finding(State.WARNING, "private ring", found, advice)
        return
    if not path.exists():
        yield Finding(State.OK, "private ring", "not on this machine; only the delivery process needs it")
        return
    try:
        public = PublicRing.load(safe.directory.public_ring)
    except NightsafeError:
        return  # `key_files` says so
    try:
        PrivateRing.load(path).check_covers(public)
    except NightsafeError as error:
        yield Finding(State.FAILED, "private ring", error.problems[0].detail, "restore it from your copy")
        return
    advice = "serving does not need it: unless this machine also delivers, move it away and keep a copy"
    yield Finding(State.WARNING, "private ring", "anybody in control of this machine can open every value", advice)


def given_up_keys(safe: Examination) -> Iterator[Finding]:
    """Check that the public ring is not an older one, in which a retired key would take new values again."""
    if not safe.is_there:
        return
    ring = PublicRing.load(safe.directory.public_ring)
    with open_read_only(safe.database) as db:
        number, retired = ring_history(db)
        is_known = ring.number < number and _is_known(db, ring)
    if ring.number < number:
        words = "is older than the safe's" if is_known else "belongs to another safe, or its use is not in the log"
        found = f"the public ring {words}: its number is {ring.number}, and number {number} was in use before"
        yield Finding(State.FAILED, "given up keys", found, _INSTALL if is_known else _FOREIGN)
        return
    usable = [key.id for key in ring.keys if key.id in retired and key.state is not RingState.RETIRED]
    if usable:
        keys = ", ".join(usable)
        found = f"the public ring does not mark these retired keys as retired: {keys}; the database refuses them"
        state = State.FAILED if ring.primary.id in usable else State.WARNING
        rotate = "one is the primary key: rotate, or install the newest ring: nightsafe keys"
        advice = rotate if state is State.FAILED else "retire them again: nightsafe keys retire"
        yield Finding(state, "given up keys", found, advice)
    else:
        yield Finding(
            State.OK, "given up keys", f"no retired key is in use again; the ring's number is {ring.number}"
        )


def sealed_values(safe: Examination) -> Iterator[Finding]:
    """Check that every value is sealed to a key of the ring."""
    if not safe.is_there:
        return
    ring = PublicRing.load(safe.directory.public_ring)
    with open_read_only(safe.database) as db:
        used = key_ids(db)
        number, _ = ring_history(db)
        is_older = ring.number < number and _is_known(db, ring)
    lost = sorted(used - {key.id for key in ring.keys})
    if lost:
        found = f"values are sealed to keys that the ring does not have: {', '.join(lost)}"
        yield Finding(State.FAILED, "sealed values", found, _INSTALL if is_older else _FOREIGN)
    else:
        yield Finding(State.OK, "sealed values", f"to {len(used)} of the ring's {len(ring.keys)} keys")


def _is_known(db: sqlite3.Connection, ring: PublicRing) -> bool:
    """Return whether the database knows a key of the ring, which is then of this safe, however old it is."""
    _, retired = ring_history(db)
    return not {key.id for key in ring.keys}.isdisjoint(used_primaries(db) | key_ids(db) | retired)
