"""Attacks with the database, a backup file, the keys and the API's machine."""

import base64
import json
import re
import tarfile
import zlib
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.clients.canaries import files, forms, found
from tests.clients.stored_values import opened, opened_stored
from tests.live.tools.running import memory_of
from tests.proofs import proven_record, signed_record
from tests.security.tools.planted_server import Planted
from tests.server import run
from tests.unit.api.tools.rotation import ALL, Rotation, text

from nightsafe.errors import NightsafeError
from nightsafe.identity.credentials import digest
from nightsafe.sealing import Context
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.sealing.proven_record import ProvenRecord
from nightsafe.sealing.reloading.sealer import ReloadingSealer
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.sealer import RingSealer
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.secret_value import SecretValue
from nightsafe.services.key_rotation.resealing import location_of_value
from nightsafe.store.sealed_values import StoredValue

COMPRESSED = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")


def unpacked(content: bytes) -> Iterator[bytes]:
    """Yield the decompressed data from each place where compressed data may begin."""
    for begin in COMPRESSED.finditer(content):
        reader = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try:
            yield reader.decompress(content[begin.start() :], 1 << 20)
        except zlib.error:
            continue


def nothing_in(planted: Planted, places: dict[str, bytes]) -> bool:
    """Return whether none of these places contains a value or a credential, in any form, also compressed."""
    inside = {f"{name} {at}": one for name, data in places.items() for at, one in enumerate(unpacked(data))}
    return found(planted.planted, places | inside) == []


def test_the_database_shows_no_value(planted: Planted) -> None:
    """With the database or a backup of it, an attacker can read names and metadata, sealed values, and hashes of
    credentials, but cannot read a value, a token or a key.
    """
    database = {name: data for name, data in files(planted.safe.path).items() if "nightsafe.db" in name}
    whole = b"".join(database.values())

    assert nothing_in(planted, database)
    for known in (b"secret_text", b"kept", b"NSV\x02", planted.safe.email.encode()):
        assert known in whole
    for credential in (planted.safe.api_token, planted.safe.api_key):
        assert digest(credential) in whole


def backup(planted: Planted, folder: Path, *options: str) -> dict[str, bytes]:
    """Make a backup file and return the files in it."""
    file = folder / "backup.tar"
    done = run("backup", str(file), "--data", str(planted.safe.path), *options, cwd=folder)
    assert 0 == done.returncode, done.stderr
    with tarfile.open(file) as archive:
        return {one.name: archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]


def test_a_backup_shows_no_value(planted: Planted, tmp_path: Path) -> None:
    """With a `nightsafe backup` file, an attacker can read names and metadata, sealed values, hashes of credentials,
    the signing key and the identity key, but cannot read a value, unless the file was made with the private ring.
    """
    without = backup(planted, tmp_path)
    with_ring = backup(planted, tmp_path, "--with-private-ring", "--force")

    assert nothing_in(planted, without)
    assert SigningKey.decode(without["keys/signing-key.json"]).id
    assert IdentityKey.decode(without["keys/identity-key.json"]).id
    assert digest(planted.safe.api_token) in without["nightsafe.db"]
    assert {"delivery/private-ring.json"} == with_ring.keys() - without.keys()


def test_ring_and_database_show_every_value(planted: Planted) -> None:
    """With the private ring and the database, an attacker can read every value."""
    values = opened(planted.safe, "doors") | opened_stored(planted.safe, planted.store_id)

    assert values
    assert {value.encode() for value in values.values()} <= set(planted.planted)


def moved(rotation: Rotation, value: StoredValue, to: StoredValue) -> bytes:
    """Return a value as the delivery process opens it in the place of another value."""
    place = location_of_value(to)
    context: Context = replace(place.signed, name=place.sealed_name)
    return rotation.opener.open_named(place.signed, context, value.record).reveal()


def test_records_stay_in_their_places(rotation: Rotation) -> None:
    """With write access to the database, an attacker can delete a record or a credential, put an older state of a
    credential back, or show an older state of a script to a delivery process that has not served a newer one, but
    cannot change what a script is delivered with, move a record to another place, forge one, or give anybody other
    rights.

    Each record is tried in the place of each other record; it opens only in its own place, with an older or newer
    value. No value opens with the proof of another value.
    """
    values = rotation.under(rotation.primary)

    assert len(values) == sum(ALL.values())
    for value, other in permutations(values, 2):
        proven = ProvenRecord.parse(other.record)
        if value.sealed != other.sealed:  # a duplicate in a Secrets Store has the same
            with pytest.raises(NightsafeError, match="cannot open"):
                rotation.opened(replace(other, record=replace(proven, sealed=value.sealed).pack()))
        if location_of_value(value) == location_of_value(other):
            assert moved(rotation, value, other) == rotation.opened(value)
        else:
            with pytest.raises(NightsafeError, match="cannot open"):
                moved(rotation, value, other)


def test_records_are_not_forged(rotation: Rotation) -> None:
    """With write access to the database, an attacker can delete a record or a credential, put an older state of a
    credential back, or show an older state of a script to a delivery process that has not served a newer one, but
    cannot change what a script is delivered with, move a record to another place, forge one, or give anybody other
    rights.

    A record with one changed byte does not open, and neither does a correctly sealed one that another key signed.
    """
    [value] = [one for one in rotation.under(rotation.primary) if rotation.opened(one) == b"second"]
    place, record = location_of_value(value).signed, value.record
    sealed = RingSealer(rotation.ring.public()).seal(place, SecretValue(b"forged"))
    theirs = [form(SigningKey.generate(), place, sealed) for form in (proven_record, signed_record)]
    borrowed = replace(ProvenRecord.parse(record), sealed=sealed).pack()
    flipped = [record[:at] + bytes([record[at] ^ 1 << at % 8]) + record[at + 1 :] for at in range(len(record))]

    for forged in (*theirs, borrowed, sealed, *flipped, record[:-1], record + b"\0", b""):
        with pytest.raises(NightsafeError, match="cannot open"):
            rotation.opened(replace(value, record=forged))


def test_records_are_deleted_and_put_back(rotation: Rotation) -> None:
    """With write access to the database, an attacker can delete a record or a credential, put an older state of a
    credential back, or show an older state of a script to a delivery process that has not served a newer one, but
    cannot change what a script is delivered with, move a record to another place, forge one, or give anybody other
    rights.

    The test deletes one record and puts an older one back.
    """
    rotation.meddle("DELETE FROM bindings WHERE name = 'K'")
    rotation.meddle(
        "UPDATE bindings SET (sealed, since, stated_in, position) = "
        "(SELECT sealed, from_version, stated_in, position FROM binding_history WHERE name = 'T') WHERE name = 'T'"
    )

    assert {"first": 2, "the-key-of-the-worker": 1} == {
        value: count for value, count in rotation.contents().items() if not value.startswith("of-the")
    }


def test_the_signing_key_makes_values(rotation: Rotation) -> None:
    """With a `nightsafe backup` file and write access to the database, an attacker can put values of the attacker's
    choice in any place, and make credentials with any rights, but cannot read a value.

    The attacker has the public ring and the signing key.
    """
    [value] = [one for one in rotation.under(rotation.primary) if rotation.opened(one) == b"of-the-project"]
    public = PublicRing.load(rotation.public)
    place = location_of_value(value).signed
    own = signed_record(rotation.signing_key, place, RingSealer(public).seal(place, SecretValue(b"their own")))
    rotation.meddle("UPDATE items SET sealed = ?, stated_in = NULL WHERE name = 'V'", own)

    assert 1 == rotation.contents()["their own"]


def test_a_machine_sees_later_values(rotation: Rotation, monkeypatch: pytest.MonkeyPatch) -> None:
    """With full control of the API's machine, an attacker can read the signing key, and every value that is put from
    then on, but cannot read a value that was put before: the private ring is not there.

    The attacker controls the process that seals.
    """
    seen: list[bytes] = []
    sealing = ReloadingSealer.seal

    def seal(sealer: ReloadingSealer, context: Context, value: SecretValue) -> bytes:
        """Record the value, then seal it."""
        seen.append(value.reveal())
        return sealing(sealer, context, value)

    monkeypatch.setattr(ReloadingSealer, "seal", seal)
    assert rotation.api.put("worker", text("T", "from then on")).status == 200

    assert [b"from then on"] == seen


def test_a_machine_has_no_private_ring(planted: Planted) -> None:
    """With full control of the API's machine, an attacker can read the signing key, and every value that is put from
    then on, but cannot read a value that was put before: the private ring is not there.

    No file that serving needs contains the private ring, and neither does the memory of the process; both contain the
    signing key.
    """
    opening, signing = (json.loads(path.read_text()) for path in (planted.safe.private_ring, planted.signing_key))
    needed = [data for name, data in files(planted.safe.path).items() if "/delivery/" not in name]
    memory = list(memory_of(planted.server.pid))

    def is_in(places: list[bytes], encoded: str) -> bool:
        """Return whether any of these places contains the key."""
        return any(one in data for data in places for one in forms(base64.b64decode(encoded)))

    assert 1 == len(opening["keys"])
    assert not is_in(needed + memory, opening["keys"][0]["private"])
    assert is_in(needed, signing["private"])
    assert is_in(memory, signing["private"])
