"""The key files, and whether they go together."""

from collections.abc import Iterator

from nightsafe.cli.doctor.examination import Examined, Finding, State
from nightsafe.cli.safe.database_copy import key_ids, looked_at, ring_history
from nightsafe.errors import NightsafeError
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.rings.ring_file import State as RingState
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys


def key_files(safe: Examined) -> Iterator[Finding]:
    """That what serving needs is there, whole, and of one safe."""
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
        yield Finding(State.FAILED, "key files", error.problems[0].detail, "mend it, or take the file from a backup")
        return
    yield Finding(State.OK, "public ring", f"{len(ring.keys)} keys, primary {ring.primary.id}")
    if signing.id in {key.id for key in verify.keys}:
        yield Finding(State.OK, "signing key", signing.id)
    else:
        found = f"{signing.id} is not among the verification keys: delivery would refuse every new value"
        yield Finding(State.FAILED, "signing key", found, f"put both from one backup into {files.signing_key.parent}")


def private_ring(safe: Examined) -> Iterator[Finding]:
    """Whether what opens every value lies here, and fits."""
    path = safe.directory.private_ring
    if not safe.is_there:
        return
    if not path.exists():
        yield Finding(State.OK, "private ring", "not on this machine: it belongs where scripts are delivered")
        return
    try:
        PrivateRing.load(path).check_covers(PublicRing.load(safe.directory.public_ring))
    except NightsafeError as error:
        yield Finding(State.FAILED, "private ring", error.problems[0].detail, "take it from where it is kept")
        return
    advice = "serving does not need it: unless this machine also delivers, move it away and keep a copy"
    yield Finding(State.WARNING, "private ring", "who has this machine can open every value", advice)


def given_up_keys(safe: Examined) -> Iterator[Finding]:
    """That no ring is an older one, which would let a key that was given up take values again."""
    if not safe.is_there:
        return
    ring = PublicRing.load(safe.directory.public_ring)
    with looked_at(safe.directory.database) as db:
        number, retired = ring_history(db)
    if ring.number < number:
        found = f"the public ring is an older one: its number is {ring.number}, and there was one with {number}"
        yield Finding(State.FAILED, "given-up keys", found, "bring the newest over: nightsafe keys install")
        return
    usable = [key.id for key in ring.keys if key.id in retired and key.state is not RingState.RETIRED]
    if usable:
        found = f"the public ring does not say that they are retired: {', '.join(usable)}; the database refuses them"
        state = State.FAILED if ring.primary.id in usable else State.WARNING
        advice = "a primary: rotate, or bring the newest ring over" if state is State.FAILED else "finish it"
        yield Finding(state, "given-up keys", found, f"{advice}: nightsafe keys")
    else:
        yield Finding(State.OK, "given-up keys", f"none comes back: the ring's number is {ring.number}")


def sealed_values(safe: Examined) -> Iterator[Finding]:
    """That every value is sealed to a key of the ring."""
    if not safe.is_there:
        return
    ring = PublicRing.load(safe.directory.public_ring)
    with looked_at(safe.directory.database) as db:
        used = key_ids(db)
    lost = sorted(used - {key.id for key in ring.keys})
    if lost:
        found = f"values are sealed to keys that the ring does not have: {', '.join(lost)}"
        yield Finding(
            State.FAILED, "sealed values", found, "the key files are of another safe: take them from a backup"
        )
    else:
        yield Finding(State.OK, "sealed values", f"to {len(used)} of the ring's {len(ring.keys)} keys")
