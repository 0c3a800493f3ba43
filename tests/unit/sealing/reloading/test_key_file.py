"""Key files that are replaced while a process runs."""

import os
from functools import partial
from pathlib import Path

import pytest
from tests.proofs import proven_record

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.context import Context
from nightsafe.sealing.record import SealedValue, key_id_of
from nightsafe.sealing.reloading.key_file import ReloadedFile
from nightsafe.sealing.reloading.opener import ReloadingOpener
from nightsafe.sealing.reloading.sealer import ReloadingSealer
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.sealer import RingSealer
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.secret_value import SecretValue

CONTEXT = Context(account_id="a" * 32, namespace="", script="worker", name="A", kind="secret_text")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a public ring's file."""
    PrivateRing.generate().public().save(tmp_path / "ring.json")
    return tmp_path / "ring.json"


def test_an_unchanged_file_is_read_once(path: Path) -> None:
    """An unchanged file is loaded once, and `current` returns the same object."""
    read: list[Path] = []

    def load(file: Path) -> object:
        """Record that a file was loaded."""
        read.append(file)
        return object()

    reloading = ReloadedFile(path, load)

    assert reloading.current() is reloading.current()
    assert [path] == read


def test_a_replaced_file_is_loaded(path: Path) -> None:
    """A replaced file is loaded at the next look, also when it has the same length and time."""
    reloading = ReloadedFile(path, PublicRing.load)
    before, status = reloading.current(), path.stat()
    ring = PrivateRing.generate().public()
    ring.save(path, replace=True)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert status.st_size == path.stat().st_size

    assert before.primary.id != reloading.current().primary.id == ring.primary.id


@pytest.mark.parametrize("harm", ["removed", "damaged", "open"])
def test_an_unusable_file_changes_nothing(path: Path, harm: str) -> None:
    """A file that cannot be used is reported once, with its name, and the earlier content stays in use."""
    problems: list[NightsafeError] = []
    reloading = ReloadedFile(path, PublicRing.load, problems.append)
    before = reloading.current()
    if harm == "removed":
        path.unlink()
    elif harm == "damaged":
        path.write_text("{")
    else:
        path.chmod(0o666)

    assert [before] * 3 == [reloading.current() for _ in range(3)]

    assert [Code.INVALID] == [problem.code for problem in problems]
    assert str(path) in problems[0].problems[0].detail


def test_an_older_ring_changes_nothing(tmp_path: Path) -> None:
    """An older public or private ring is reported once and not used; a newer one is used afterwards."""
    public, private = tmp_path / "public.json", tmp_path / "private.json"
    first = PrivateRing.generate()
    second = first.rotated()
    problems: list[NightsafeError] = []
    second.save(private)
    second.public().save(public)
    reloading = ReloadedFile(public, PublicRing.load, problems.append, PublicRing.as_successor_of)
    opening = ReloadedFile(private, PrivateRing.load, problems.append, PrivateRing.as_successor_of)

    first.save(private, replace=True)
    first.public().save(public, replace=True)
    for _ in range(2):
        assert [2, 2] == [reloading.current().number, opening.current().number]
    assert [str(public), str(private)] == [problem.problems[0].detail.split(": ")[0] for problem in problems]

    third = second.rotated()
    third.public().save(public, replace=True)
    assert 3 == reloading.current().number


def test_a_ring_that_lacks_a_key_in_use_changes_nothing(tmp_path: Path) -> None:
    """A ring that lacks a key in use is reported once and not used, unless that key is known to be given up."""
    public, problems = tmp_path / "public.json", list[NightsafeError]()
    first = PrivateRing.generate()
    second, apart = first.rotated(), first.rotated().rotated()
    retired_keys: list[str] = []
    second.public().save(public)
    combine = partial(PublicRing.as_successor_of, retired_keys=lambda: retired_keys)
    reloading = ReloadedFile(public, PublicRing.load, problems.append, combine)

    apart.public().save(public, replace=True)
    assert [second.public().primary.id] * 2 == [reloading.current().primary.id for _ in range(2)]
    assert [True] == [f"lacks the key {second.public().primary.id}" in str(problem) for problem in problems]

    third = second.rotated()
    retired_keys += [key.id for key in second.keys]
    third.public().without(retired_keys).save(public, replace=True)
    assert [third.public().primary.id] == [key.id for key in reloading.current().keys]


def test_a_key_known_to_be_retired_stays_retired(tmp_path: Path) -> None:
    """A key that is known to be retired stays retired, even if the ring's file differs, also after a rotation."""
    public = tmp_path / "public.json"
    first, signing_key = PrivateRing.generate(), SigningKey.generate()
    ring = first.rotated()
    ring.public().save(public)
    old = RingSealer(first.public()).seal(CONTEXT, SecretValue(b"old"))
    sealer = ReloadingSealer(ReloadedFile(public, PublicRing.load, combine=PublicRing.as_successor_of), signing_key)
    sealer.check(old)

    sealer.refuse([first.keys[0].id, "0" * 16])

    for _ in range(2):
        with pytest.raises(NightsafeError, match="retired"):
            sealer.check(old)
        ring.rotated().public().save(public, replace=True)
    with pytest.raises(NightsafeError, match="cannot be the primary"):
        sealer.refuse([sealer.ring.primary.id])


def test_a_missing_file_is_refused_at_the_start(tmp_path: Path) -> None:
    """A missing file is refused at the start, because there is nothing to keep using."""
    with pytest.raises(NightsafeError):
        ReloadedFile(tmp_path / "nothing.json", PublicRing.load)


def test_sealing_and_opening_continue_through_a_rotation(tmp_path: Path) -> None:
    """A value sealed before a rotation opens afterwards; a value sealed afterwards uses the new key."""
    private, public = tmp_path / "private.json", tmp_path / "public.json"
    ring, signing_key = PrivateRing.generate(), SigningKey.generate()
    ring.save(private)
    ring.public().save(public)
    sealer = ReloadingSealer(ReloadedFile(public, PublicRing.load), signing_key)
    opener = ReloadingOpener(VerifyKeys([signing_key.verify_key]), ReloadedFile(private, PrivateRing.load))
    before = sealer.seal(CONTEXT, SecretValue(b"before"))

    rotated = ring.rotated()
    rotated.save(private, replace=True)
    rotated.public().save(public, replace=True)
    after = sealer.seal(CONTEXT, SecretValue(b"after"))

    records = [proven_record(signing_key, CONTEXT, sealed) for sealed in (before, after)]
    assert [b"before", b"after"] == [opener.open(CONTEXT, record).reveal() for record in records]
    assert [ring.keys[0].id, rotated.keys[0].id] == [key_id_of(before), key_id_of(after)]
    assert (rotated.keys[0].id, rotated.keys[0].id) == (sealer.ring.primary.id, opener.ring.public().primary.id)
    assert sealer.id == signing_key.id
    sealer.check(before)
    retired = rotated.retired(ring.keys[0].id)
    retired.public().save(public, replace=True)
    with pytest.raises(NightsafeError, match="retired"):
        sealer.check(before)


def test_a_renamed_record_opens_only_with_both_contexts(tmp_path: Path) -> None:
    """A value that was put under another name opens only with both of its contexts."""
    path = tmp_path / "private.json"
    ring, signing_key = PrivateRing.generate(), SigningKey.generate()
    ring.save(path)
    ring.public().save(tmp_path / "public.json")
    sealer = ReloadingSealer(ReloadedFile(tmp_path / "public.json", PublicRing.load), signing_key)
    opener = ReloadingOpener(VerifyKeys([signing_key.verify_key]), ReloadedFile(path, PrivateRing.load))
    other = Context(account_id="a" * 32, namespace="", script="worker", name="B", kind="secret_text")
    record = proven_record(signing_key, other, sealer.seal(CONTEXT, SecretValue(b"value")))

    assert b"value" == opener.open_named(other, CONTEXT, record).reveal()

    for signed, context in ((CONTEXT, CONTEXT), (other, other), (CONTEXT, other)):
        with pytest.raises(NightsafeError, match="cannot open"):
            opener.open_named(signed, context, record)


def test_no_group_outlives_a_change_of_the_ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key of a group is overwritten, and the next value begins another, when keys are refused or replaced."""
    keys: list[SecretValue] = []

    def kept(data: bytes) -> SecretValue:
        """Make a key, and keep it for the test."""
        keys.append(SecretValue(data))
        return keys[-1]

    monkeypatch.setattr("nightsafe.sealing.groups.sealer.SecretValue", kept)
    public, ring = tmp_path / "public.json", PrivateRing.generate().rotated()
    ring.public().save(public)
    sealer = ReloadingSealer(ReloadedFile(public, PublicRing.load), SigningKey.generate(), lambda *_: None)

    def group_id() -> bytes:
        """Seal a value and return its group."""
        return SealedValue.parse(sealer.seal(CONTEXT, SecretValue(b"x"))).group_id

    ids = [group_id(), group_id()]
    sealer.refuse([ring.keys[1].id])
    ids.append(group_id())
    ring.rotated().public().save(public, replace=True)
    ids.append(group_id())

    assert ids[0] == ids[1]
    assert 3 == len(set(ids))
    assert [0, 0, 32] == [len(key) for key in keys]
