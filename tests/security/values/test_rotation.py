"""Attacks with a retired key, an older ring and a resealing token."""

import base64
from hashlib import sha256
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.unit.api.key_rotation.test_resealing import as_json, renewed, retirement
from tests.unit.api.tools.collections import events
from tests.unit.api.tools.driver import ACCOUNT, secrets_of
from tests.unit.api.tools.rotation import ALL, COUNT, RESEALING, Rotation, text

from nightsafe.bundle.resealing import NewValue
from nightsafe.errors import NightsafeError
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.sealer import RingSealer
from nightsafe.secret_value import SecretValue
from nightsafe.services.key_rotation.recipient_keys import record_ring, retire_key
from nightsafe.services.key_rotation.resealing import location_of_value


def rotated(rotation: Rotation) -> tuple[str, bytes]:
    """Rotate, reseal all values, and retire the old key; return its id, and the ring in which it is the primary."""
    older = rotation.public.read_bytes()
    old = rotation.rotate()
    rotation.reseal()
    rotation.api.run(retire_key(rotation.api.store, old))
    return old, older


def test_a_retired_key_takes_no_values(rotation: Rotation) -> None:
    """A retired or removed key never takes new values again, even if an older ring comes back.

    This holds when the older ring replaces the file, and when a client sends a value sealed to the old key. A removed
    key was retired before.
    """
    old, older = rotated(rotation)
    rotation.public.write_bytes(older)
    put = rotation.api.json_anyhow("PUT", secrets_of("worker"), text("LATE", "x"))
    [value, *_] = rotation.under(rotation.primary)
    sealed = RingSealer(PublicRing.decode(older)).seal(location_of_value(value).signed, SecretValue(b"x"))
    by_client = {
        "name": "T",
        "type": "secret_text",
        "encrypted_value": base64.b64encode(sealed).decode(),
        "key_id": old,
    }
    sent = rotation.api.json_anyhow("PUT", secrets_of("worker"), by_client)

    assert (503, 503) == (put.status, sent.status)
    assert [] == rotation.under(old)
    assert ALL == rotation.contents()


def test_the_database_refuses(rotation: Rotation) -> None:
    """The database refuses values that are sealed to a retired key.

    It refuses them even from an API that does not know of the retirement, because the key is the primary of its ring.
    """
    before = rotation.primary
    rotation.api.run(rotation.api.store.commit(retirement(before, in_use=True)))
    count = len(rotation.under(before))
    answer = rotation.api.json_anyhow("PUT", secrets_of("worker"), text("LATE", "x"))

    assert before == PublicRing.load(rotation.public).primary.id
    assert 503 == answer.status
    assert count == len(rotation.under(before)) == COUNT


async def _numbers(rotation: Rotation, *rings: PublicRing) -> list[int]:
    """Take each ring into use; return the number that the database remembers after each."""
    found = []
    for ring in rings:
        await record_ring(rotation.api.store, ring)
        found.append(await rotation.api.store.ring_number())
    return found


def test_rings_have_numbers(rotation: Rotation) -> None:
    """Each ring has a number that only grows, and the database remembers the highest."""
    first = rotation.ring
    second = first.rotated()
    third = second.rotated().retired(first.keys[0].id)
    rings = [ring.public() for ring in (first, second, third)]

    assert [1, 2, 3] == [ring.number for ring in rings]
    assert [1, 2, 3, 3] == rotation.api.run(_numbers(rotation, *rings, rings[2]))
    rotation.api.restart()
    for older in rings[:2]:
        with pytest.raises(NightsafeError, match="older"):
            rotation.api.run(_numbers(rotation, older))
    assert 3 == rotation.api.run(rotation.api.store.ring_number())


def test_each_batch_is_in_the_audit_log(rotation: Rotation) -> None:
    """Each batch of resealed values has an entry `keys.reseal` in the audit log, with the token, the address and
    every place.
    """
    rotation.rotate()
    done = rotation.reseal()
    told = [one for one in events(rotation.api) if one["action"] == "keys.reseal"]

    assert COUNT == done.resealed == sum(len(one["set"]) for one in told)
    assert {"token"} == {one["actor_kind"] for one in told}
    assert {"192.0.2.7"} == {one["address"] for one in told}
    assert all(one["actor"] for one in told)
    assert {"worker/T", "worker/K", "script/worker/K", "pages_project/blog/preview/V"} < {
        place for one in told for place in one["set"]
    }


def exchanged(rotation: Rotation, value: bytes) -> list[bytes]:
    """Replace every value under the older key, with a resealing token only; return the values stored afterwards."""
    rotation.rotate()
    page = rotation.api.run(rotation.old_values(""))
    body = {
        "values": [
            as_json(replace(renewed(rotation, one), sealed=_sealed(rotation, one.mark, value))) for one in page.values
        ]
    }
    answer = rotation.ask("POST", RESEALING, body)

    assert 200 == answer.status
    return [rotation.opened(one) for one in rotation.under(rotation.primary)]


def _sealed(rotation: Rotation, mark: str, value: bytes) -> bytes:
    """Seal a value with the public ring only, for the place of a stored value."""
    there = rotation.api.run(rotation.api.store.value(ACCOUNT, mark))
    assert there is not None
    place = location_of_value(there)
    return RingSealer(rotation.ring.public()).seal(replace(place.signed, name=place.sealed_name), SecretValue(value))


def test_values_can_be_replaced(rotation: Rotation) -> None:
    """When a value is resealed, the API checks the caller, the place and the key; it cannot check that the content
    is the same. A caller with a resealing token can replace values under an older key with other values; the audit
    log shows it, but no version does.
    """
    versions = rotation.api.send("GET", f"{secrets_of('worker').removesuffix('/secrets')}/versions").body

    assert {b"of the attacker"} == set(exchanged(rotation, b"of the attacker"))
    assert versions == rotation.api.send("GET", f"{secrets_of('worker').removesuffix('/secrets')}/versions").body
    assert [one for one in events(rotation.api) if one["action"] == "keys.reseal"]


def test_a_resealing_token_gets_no_value(rotation: Rotation) -> None:
    """With a resealing token, an attacker can fetch sealed values under an older key and their names, and put other
    sealed values in their place, but cannot get a value, write anything else, or read more of the account than its
    name and its public ring.

    The API returns no value under the newest key and lets none be replaced, and no returned sealed value shows its
    plaintext.
    """
    [value, *_] = rotation.under(rotation.primary)
    given = rotation.ask("GET", RESEALING)
    new = NewValue(mark=value.mark, before=sha256(value.record).digest(), sealed=_sealed(rotation, value.mark, b"x"))
    rotation.ask("POST", RESEALING, {"values": [as_json(new)]})

    assert [] == given.result["values"]
    assert ALL == rotation.contents()
    rotation.rotate()
    given = rotation.ask("GET", RESEALING)
    assert given.result["values"]
    assert not [one for one in ALL if one.encode() in given.body]


def test_access_to_the_database_stops_writes(rotation: Rotation) -> None:
    """An attacker with write access to the database can mark keys as retired, which stops writes."""
    rotation.meddle("INSERT INTO retired_keys VALUES (?, 1)", rotation.primary)

    assert 503 == rotation.api.json_anyhow("PUT", secrets_of("worker"), text("LATE", "x")).status
    assert ALL == rotation.contents()


def test_without_the_ring_all_is_lost(rotation: Rotation, tmp_path: Path) -> None:
    """Losing the private ring loses every value. Keep a copy.

    A copy of the ring opens the values; a new ring does not.
    """
    copy = tmp_path / "copy.json"
    copy.write_bytes(rotation.private.read_bytes())
    copy.chmod(0o600)
    values = rotation.under(rotation.primary)
    type(rotation.ring).generate().save(rotation.private, replace=True)
    for value in values:
        with pytest.raises(NightsafeError, match="cannot open"):
            rotation.opened(value)
    copy.replace(rotation.private)

    assert COUNT == len([rotation.opened(value) for value in values])
