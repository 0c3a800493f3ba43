"""Key rings and signing keys: states, files and refusals."""

import base64
import json
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing import Suite
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.rings.ring_file import State
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys

FORMS: dict[str, type["KeyFile"]] = {
    "public": PublicRing,
    "private": PrivateRing,
    "signing": SigningKey,
    "verify": VerifyKeys,
}
each_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


class KeyFile(Protocol):
    """The methods that the four kinds of key file share."""

    @classmethod
    def decode(cls, data: bytes, source: str = ...) -> "KeyFile":
        """Decode bytes."""
        ...

    @classmethod
    def load(cls, path: Path) -> "KeyFile":
        """Load a file."""
        ...

    def encode(self) -> bytes:
        """Encode to bytes."""
        ...

    def save(self, path: Path, *, replace: bool = False) -> None:
        """Save to a file."""
        ...


def sample(form: type[KeyFile]) -> KeyFile:
    """Return a new key file of each kind."""
    if form is PrivateRing:
        return PrivateRing.generate().rotated(Suite.HYBRID)
    if form is PublicRing:
        return PrivateRing.generate().rotated(Suite.HYBRID).public()
    key = SigningKey.generate()
    return key if form is SigningKey else VerifyKeys([key.verify_key, SigningKey.generate().verify_key])


def refusal(form: type[KeyFile], data: bytes | dict[str, Any]) -> str:
    """Return the message that refuses bytes (or JSON); check that it names the source."""
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    with pytest.raises(NightsafeError) as caught:
        form.decode(raw, "the file")
    assert Code.INVALID is caught.value.code
    assert caught.value.problems[0].detail.startswith("the file: ")
    return caught.value.problems[0].detail


@each_form
def test_files_round_trip(tmp_path: Path, form: type[KeyFile]) -> None:
    """A saved file loads to the same content, and its mode allows loading."""
    before, path = sample(form), tmp_path / "file"
    before.save(path)
    assert before.encode() == form.load(path).encode()
    secret = form in {PrivateRing, SigningKey}
    assert (0o600 if secret else 0o644) == path.stat().st_mode & 0o777
    with pytest.raises(NightsafeError):
        before.save(path)
    before.save(path, replace=True)


@each_form
@given(data=st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_refused_as_a_key_file(form: type[KeyFile], data: bytes) -> None:
    """Any bytes are refused as INVALID, without another exception."""
    refusal(form, data)


def is_number(drawn: object) -> bool:
    """Return whether a ring may have this value as its number."""
    return type(drawn) is int and 1 <= drawn <= 1 << 53


@each_form
@given(data=st.data())
def test_a_damaged_file_is_refused_without_showing_a_key(form: type[KeyFile], data: st.DataObject) -> None:
    """A file with one replaced value is refused, and the message does not show the old value."""
    good = json.loads(sample(form).encode())
    place = data.draw(st.sampled_from([good, *good.get("keys", [])]))
    field = data.draw(st.sampled_from(sorted(place)))
    old, place[field] = place[field], data.draw(json_values)
    is_good = place[field] == old or (field == "number" and is_number(place[field]))
    detail = "" if is_good else refusal(form, good)
    assert not (isinstance(old, str) and len(old) > 20 and old in detail)


@pytest.mark.parametrize("field", ["format", "keys", "id", "suite", "state", "private", "surplus"])
def test_a_misplaced_key_is_not_shown(field: str) -> None:
    """A key in the wrong field does not appear in the message."""
    good = json.loads(sample(PrivateRing).encode())
    key = base64.b64encode(secrets.token_bytes(33)).decode()
    place = good if field in good else good["keys"][0]
    place[field] = key
    assert key not in refusal(PrivateRing, good)
    assert key not in refusal(PrivateRing, {**good, key: key})


def edited(ring: PrivateRing, *edits: dict[str, str]) -> dict[str, Any]:
    """Return a private ring's JSON with some fields of its keys changed."""
    form: dict[str, Any] = json.loads(ring.encode())
    for entry, edit in zip(form["keys"], edits, strict=False):
        entry.update(edit)
    return form


def test_each_problem_has_its_own_message() -> None:
    """Each problem has its own message, with the field or the id if there is one."""
    ring = sample(PrivateRing)
    assert isinstance(ring, PrivateRing)
    first, second = ring.keys[0].id, ring.keys[1].id
    form = json.loads(ring.encode())
    assert "is not JSON" in refusal(PrivateRing, b"{")
    assert "has no key" in refusal(PrivateRing, {**form, "keys": []})
    assert "2 primary" in refusal(PrivateRing, edited(ring, {}, {"state": "primary"}))
    assert "0 primary" in refusal(PrivateRing, edited(ring, {"state": "retired"}))
    assert f"{first} more than once" in refusal(PrivateRing, {**form, "keys": [form["keys"][0]] * 2})
    assert f"wrong id; the id derived from the key is {first}" in refusal(PrivateRing, edited(ring, {"id": second}))
    assert "$.keys[0].suite" in refusal(PrivateRing, edited(ring, {"suite": "rot13"}))
    assert "not a usable" in refusal(PrivateRing, edited(ring, {"private": "AAAA"}))
    assert "$.format" in refusal(PrivateRing, {**form, "format": "nightsafe-private-ring/3"})
    assert "$.format" in refusal(PublicRing, form)


def test_a_public_key_that_cannot_be_sealed_to_is_refused() -> None:
    """A public key with another key's id, a small-order point, a bad lattice key or a wrong length is refused."""
    form = json.loads(PrivateRing.generate().public().encode())
    assert "states a wrong id" in refusal(PublicRing, {**form, "keys": [{**form["keys"][0], "id": "00" * 8}]})
    for suite, public in [
        (Suite.X25519, bytes(32)),
        (Suite.X25519, bytes(31)),
        (Suite.HYBRID, b"\xff" * 1216),
        (Suite.HYBRID, bytes(1216)),
        (Suite.HYBRID, bytes(1184)),
    ]:
        form["keys"][0].update(suite=suite, public=base64.b64encode(public).decode())
        assert f"not a usable {suite} key" in refusal(PublicRing, form)


@pytest.mark.parametrize("form", [SigningKey, VerifyKeys])
def test_invalid_signing_keys_are_refused(form: type[KeyFile]) -> None:
    """A signing key with a wrong length or another key's id is refused."""
    good = json.loads(sample(form).encode())
    place = good["keys"][0] if "keys" in good else good
    field = "public" if "keys" in good else "private"
    old, place[field] = place[field], "AAAA"
    assert "not a usable Ed25519 key" in refusal(form, good)
    place.update({field: old, "id": "00" * 8})
    assert "states a wrong id" in refusal(form, good)


def test_a_rotated_out_key_is_active_then_retired_then_gone(ring: PrivateRing) -> None:
    """The new primary has the suite of the old one; the old one is active, then retired, then gone."""
    old = ring.public().primary
    rotated = ring.rotated()
    assert old.suite is rotated.public().primary.suite
    assert old.id != rotated.public().primary.id
    found = rotated.get(old.id)
    assert found is not None
    assert State.ACTIVE is found.state
    retired = rotated.retired(old.id)
    found = retired.get(old.id)
    assert found is not None
    assert State.RETIRED is found.state
    assert retired.without(old.id).get(old.id) is None


def test_a_rings_number_only_grows(ring: PrivateRing) -> None:
    """A rotation raises the number by one, or past a known number; retiring and removing a key keep it."""
    old = ring.public().primary.id
    rotated = ring.rotated()
    retired_keys = rotated.retired(old)
    assert [1, 2, 2, 2, 3, 8] == [
        each_ring.number
        for each_ring in (
            ring,
            rotated,
            retired_keys,
            retired_keys.without(old),
            rotated.rotated(),
            ring.rotated(beyond=7),
        )
    ]
    assert [2, 2, 2] == [
        each_ring.number
        for each_ring in (
            PrivateRing.decode(retired_keys.encode()),
            PublicRing.decode(retired_keys.public().encode()),
            retired_keys.public().without({old}),
        )
    ]


@pytest.mark.parametrize("form", [PublicRing, PrivateRing])
def test_a_ring_of_the_first_format_stays_unchanged(form: type[PublicRing] | type[PrivateRing]) -> None:
    """A ring of the first format is read as number 0 and stays unchanged; the second format requires a number."""
    kind = "public" if form is PublicRing else "private"
    now = json.loads(sample(form).encode())
    assert (f"nightsafe-{kind}-ring/2", 2) == (now["format"], now.pop("number"))
    old = {**now, "format": f"nightsafe-{kind}-ring/1"}
    ring = form.decode(json.dumps(old).encode())
    assert (0, old) == (ring.number, json.loads(ring.encode()))
    for wrong in (now, {**old, "number": 1}, {**now, "number": 0}, {**now, "number": -1}, {**now, "number": "1"}):
        assert "$.number" in refusal(form, wrong)


def test_clients_are_offered_the_first_format(ring: PrivateRing) -> None:
    """Clients are offered the first format, which every release of them reads; it has no number."""
    offered = json.loads(ring.rotated().public().encode_offer())
    assert ("nightsafe-public-ring/1", False) == (offered["format"], "number" in offered)
    assert json.loads(ring.rotated().public().encode())["keys"] != offered["keys"] != []


class RotatedRings:
    """The public rings of a safe through two rotations, with a key retired or removed, or rotated separately."""

    def __init__(self) -> None:
        first = PrivateRing.generate()
        self.old = first.public().primary.id
        second = first.rotated()
        self.first, self.second = first.public(), second.public()
        self.retired = self.second.with_retired({self.old})
        self.removed = self.second.without({self.old})
        self.third = second.rotated().public()
        apart = first.rotated()
        self.apart, self.apart_twice = apart.public(), apart.rotated().public()


def test_an_older_or_separate_ring_is_refused() -> None:
    """A ring of an earlier rotation, with a removed key, or rotated separately is refused."""
    rings = RotatedRings()
    for new, before, words in [
        (rings.first, rings.second, "its number is 1, but a ring with the number 2 has been used here"),
        (rings.second, rings.third, "older"),
        (rings.second, rings.removed, f"the key {rings.old}, which has since been removed"),
        (rings.retired, rings.removed, "has since been removed"),
        (rings.apart, rings.second, "rotated separately"),
        (
            rings.apart_twice,
            rings.second,
            f"lacks the key {rings.second.primary.id}, the primary .* rotated separately",
        ),
        (rings.third.without({rings.old}), rings.second, f"lacks the key {rings.old}.* keys retire {rings.old}$"),
        (PrivateRing.generate().rotated().rotated().public(), rings.second, "belongs to another safe"),
    ]:
        with pytest.raises(NightsafeError, match=words) as caught:
            new.as_successor_of(before, "the file")
        assert caught.value.problems[0].detail.startswith("the file: ")


def test_a_given_up_key_may_be_missing() -> None:
    """A missing key is accepted if it was retired or given up; `retired_keys` is called only when needed."""
    rings = RotatedRings()
    newest = rings.third.without({rings.old})
    assert newest is newest.as_successor_of(rings.retired)
    assert newest is newest.as_successor_of(rings.second, retired_keys=lambda: [rings.old])
    assert newest is newest.as_successor_of(rings.first, retired_keys=lambda: {rings.old})
    asked = Mock(return_value=[])
    rings.third.as_successor_of(rings.second, retired_keys=asked)
    asked.assert_not_called()


def test_a_retired_key_stays_retired() -> None:
    """A retired key stays retired in a newer ring and in the same ring; it cannot be the primary."""
    rings = RotatedRings()
    for new in (rings.second, rings.third):
        key = new.as_successor_of(rings.retired).get(rings.old)
        assert key is not None
        assert State.RETIRED is key.state
    assert rings.removed is rings.removed.as_successor_of(rings.retired)
    with pytest.raises(NightsafeError, match="retired here"):
        rings.third.with_retired({rings.third.primary.id})


def test_a_ring_without_a_number_may_follow_another() -> None:
    """A ring without a number may follow another, unless its primary is an older key of the ring in use."""
    rings = RotatedRings()
    first, second = (PublicRing.decode(ring.encode_offer()) for ring in (rings.first, rings.second))
    assert second is second.as_successor_of(first)
    assert rings.third is rings.third.as_successor_of(second)
    with pytest.raises(NightsafeError, match="older key of the ring in use"):
        first.as_successor_of(second)
    with pytest.raises(NightsafeError, match="its number is 0"):
        second.as_successor_of(rings.first)


def test_an_older_private_ring_is_refused(ring: PrivateRing) -> None:
    """A private ring that lacks keys is refused as older; one with keys retired or removed is not."""
    rotated = ring.rotated()
    smaller = rotated.retired(ring.keys[0].id).without(ring.keys[0].id)
    assert rotated is rotated.as_successor_of(ring)
    assert smaller is smaller.as_successor_of(rotated)
    with pytest.raises(NightsafeError, match="older"):
        ring.as_successor_of(rotated)


def test_a_key_in_use_is_neither_retired_nor_removed(ring: PrivateRing) -> None:
    """The primary cannot be retired or removed, an active key cannot be removed, and an unknown key neither."""
    rotated = ring.rotated()
    primary, active = rotated.public().primary.id, ring.public().primary.id
    for attempt, key_id, words in [
        (rotated.retired, primary, "rotate first"),
        (rotated.without, primary, "rotate first"),
        (rotated.without, active, "not retired"),
        (rotated.retired, "00" * 8, "has no key"),
    ]:
        with pytest.raises(NightsafeError, match=words) as caught:
            attempt(key_id)
        assert Code.INVALID is caught.value.code


def test_a_private_ring_covers_its_public_rings(ring: PrivateRing) -> None:
    """A private ring covers its own public ring and older ones, but not a ring with a key that it lacks."""
    rotated = ring.rotated()
    rotated.check_covers(rotated.public())
    rotated.check_covers(ring.public())
    with pytest.raises(NightsafeError, match=rotated.public().primary.id):
        ring.check_covers(rotated.public())


def test_keys_with_the_same_id_are_still_compared(ring: PrivateRing) -> None:
    """The keys themselves are compared: two keys with the same id still differ."""
    twin = replace(ring.public().primary, public=b"another key of the same id")
    with pytest.raises(NightsafeError, match=twin.id):
        ring.check_covers(PublicRing([twin]))


def test_no_repr_shows_private_bytes(ring: PrivateRing, signing_key: SigningKey) -> None:
    """No repr contains private bytes."""
    private = ring.keys[0].private.reveal()
    shown = f"{ring!r} {ring.keys!r} {signing_key!r}"
    assert repr(private)[2:-1] not in shown
    assert private.hex() not in shown
