"""The keys of groups that an opener keeps: found by exact input, bounded, and wiped."""

from pathlib import Path

import pytest
from tests.proofs import proven_record
from tests.unit.sealing.test_seal_open import assert_refused

from nightsafe.sealing import Context
from nightsafe.sealing.groups import key_cache as module
from nightsafe.sealing.groups.derivation import group_info
from nightsafe.sealing.groups.key_cache import CACHED_GROUPS, GroupKeyCache
from nightsafe.sealing.groups.sealer import GroupSealer
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.record import SealedValue
from nightsafe.sealing.reloading.key_file import ReloadedFile
from nightsafe.sealing.reloading.opener import ReloadingOpener
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import HPKE
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.suite import Suite
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.secret_value import SecretValue


class Decapsulations(list[SecretValue]):
    """The group keys that were decapsulated, in order."""

    def wiped(self) -> list[bool]:
        """Return for each key whether it was wiped."""
        return [not len(key) for key in self]


@pytest.fixture
def decapsulated(monkeypatch: pytest.MonkeyPatch) -> Decapsulations:
    """Return the list of decapsulated keys."""
    keys = Decapsulations()

    def kept(data: bytes) -> SecretValue:
        """Make a key, and keep it for the test."""
        keys.append(SecretValue(data))
        return keys[-1]

    monkeypatch.setattr(module, "SecretValue", kept)
    return keys


def group_of(ring: PrivateRing, context: Context, count: int = 3) -> list[bytes]:
    """Return sealed values of one group."""
    sealer = GroupSealer(ring.public(), lambda *_: None, lambda: 0.0)
    return [sealer.seal(context, SecretValue(b"%d" % number)) for number in range(count)]


def test_a_group_is_decapsulated_once(
    ring: PrivateRing, opener: RecordOpener, signing_key: SigningKey, context: Context, decapsulated: Decapsulations
) -> None:
    """All values of a group need one decapsulation, also when they are opened again."""
    sealed = group_of(ring, context)
    for _ in range(2):
        for number, value in enumerate(sealed):
            assert b"%d" % number == opener.open(context, proven_record(signing_key, context, value)).reveal()

    assert 1 == len(decapsulated)


def test_a_known_group_id_does_not_stand_for_another_group(
    ring: PrivateRing, opener: RecordOpener, signing_key: SigningKey, context: Context
) -> None:
    """After a group was opened, its values do not open with an altered group, nor another group's with its id."""
    ours, _, _ = group_of(ring, context)
    assert opener.open(context, proven_record(signing_key, context, ours))
    theirs = SealedValue.parse(group_of(ring, context)[0])
    parsed = SealedValue.parse(ours)
    forged = SealedValue(
        parsed.suite, parsed.key_id, theirs.value_id, theirs.body, parsed.group_id + theirs.group[16:]
    )

    assert_refused(opener, context, proven_record(signing_key, context, forged.pack()))
    for position in range(29, 29 + len(parsed.group), 1 if parsed.suite is Suite.X25519 else 23):
        altered = bytearray(ours)
        altered[position] ^= 1
        assert_refused(opener, context, proven_record(signing_key, context, bytes(altered)))
    assert opener.open(context, proven_record(signing_key, context, ours))


def test_a_group_opens_only_under_its_own_key(signing_key: SigningKey, context: Context) -> None:
    """After a group was opened, its values do not open under another key id of the ring."""
    ring = PrivateRing.generate()
    rotated = ring.rotated()
    opener = RecordOpener(VerifyKeys([signing_key.verify_key]), rotated)
    ours = group_of(ring, context)[0]
    assert opener.open(context, proven_record(signing_key, context, ours))

    swapped = ours[:5] + bytes.fromhex(rotated.primary.id) + ours[13:]

    assert_refused(opener, context, proven_record(signing_key, context, swapped))


def test_a_group_that_does_not_open_is_not_kept(
    ring: PrivateRing, opener: RecordOpener, signing_key: SigningKey, context: Context, decapsulated: Decapsulations
) -> None:
    """A failed decapsulation leaves nothing in the cache."""
    altered = bytearray(group_of(ring, context)[0])
    altered[29] ^= 1
    for _ in range(2):
        assert_refused(opener, context, proven_record(signing_key, context, bytes(altered)))

    assert [] == decapsulated


def groups_for(ring: PrivateRing, count: int) -> list[bytes]:
    """Return groups as values carry them, each with a key of its own."""
    key = ring.primary.public
    return [
        group_id + HPKE[key.suite].encrypt(bytes(32), key.loaded, group_info(key.id, group_id))
        for group_id in (number.to_bytes(16, "big") for number in range(count))
    ]


def test_the_cache_is_bounded(decapsulated: Decapsulations) -> None:
    """The cache keeps the groups that were used last; it wipes the key of each other group."""
    ring, cache = PrivateRing.generate(), GroupKeyCache()
    groups = groups_for(ring, CACHED_GROUPS + 1)
    for group in [*groups[:CACHED_GROUPS], groups[0], groups[CACHED_GROUPS]]:
        assert 32 == len(cache.open(ring.primary, group))

    assert [1] == [number for number, wiped in enumerate(decapsulated.wiped()) if wiped]
    assert cache.open(ring.primary, groups[0]) is decapsulated[0]

    cache.forget()
    assert all(decapsulated.wiped())


def test_a_changed_ring_drops_the_keys(
    tmp_path: Path, signing_key: SigningKey, context: Context, decapsulated: Decapsulations
) -> None:
    """When the private ring changes, the keys are wiped; a value under a removed key does not open any more."""
    path, ring = tmp_path / "private.json", PrivateRing.generate()
    ring.save(path)
    opener = ReloadingOpener(VerifyKeys([signing_key.verify_key]), ReloadedFile(path, PrivateRing.load))
    record = proven_record(signing_key, context, group_of(ring, context)[0])
    assert b"0" == opener.open(context, record).reveal()

    rotated = ring.rotated()
    rotated.save(path, replace=True)
    assert b"0" == opener.open(context, record).reveal()
    assert [True, False] == decapsulated.wiped()

    rotated.retired(ring.primary.id).without(ring.primary.id).save(path, replace=True)
    assert_refused(opener, context, record)
    assert [True, True] == decapsulated.wiped()
