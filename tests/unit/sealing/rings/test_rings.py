"""Key rings and signing keys: their states, their files, and what is refused in them."""

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
    """What the four kinds of key file have in common."""

    @classmethod
    def decode(cls, data: bytes, source: str = ...) -> "KeyFile":
        """From bytes."""
        ...

    @classmethod
    def load(cls, path: Path) -> "KeyFile":
        """From a file."""
        ...

    def encode(self) -> bytes:
        """To bytes."""
        ...

    def save(self, path: Path, *, replace: bool = False) -> None:
        """To a file."""
        ...


def sample(form: type[KeyFile]) -> KeyFile:
    """One of each kind, new."""
    if form is PrivateRing:
        return PrivateRing.generate().rotated(Suite.HYBRID)
    if form is PublicRing:
        return PrivateRing.generate().rotated(Suite.HYBRID).public()
    key = SigningKey.generate()
    return key if form is SigningKey else VerifyKeys([key.verify_key, SigningKey.generate().verify_key])


def refusal(form: type[KeyFile], data: bytes | dict[str, Any]) -> str:
    """The text with which bytes (or JSON) are refused; it names the source."""
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    with pytest.raises(NightsafeError) as caught:
        form.decode(raw, "the file")
    assert Code.INVALID is caught.value.code
    assert caught.value.problems[0].detail.startswith("the file: ")
    return caught.value.problems[0].detail


@each_form
def test_files_round_trip(tmp_path: Path, form: type[KeyFile]) -> None:
    """What is saved loads to the same, with a mode that loads."""
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
def test_any_bytes_are_refused(form: type[KeyFile], data: bytes) -> None:
    """No input raises anything but the refusal."""
    refusal(form, data)


def is_number(drawn: object) -> bool:
    """Whether a ring may have it as its number."""
    return type(drawn) is int and 1 <= drawn <= 1 << 53


@each_form
@given(data=st.data())
def test_a_damaged_file_is_refused_without_showing_a_key(form: type[KeyFile], data: st.DataObject) -> None:
    """One value anywhere in a good file replaced: refused, and what was in it never shows."""
    good = json.loads(sample(form).encode())
    place = data.draw(st.sampled_from([good, *good.get("keys", [])]))
    field = data.draw(st.sampled_from(sorted(place)))
    old, place[field] = place[field], data.draw(json_values)
    is_good = place[field] == old or (field == "number" and is_number(place[field]))
    detail = "" if is_good else refusal(form, good)
    assert not (isinstance(old, str) and len(old) > 20 and old in detail)


@pytest.mark.parametrize("field", ["format", "keys", "id", "suite", "state", "private", "surplus"])
def test_a_misplaced_key_is_not_shown(field: str) -> None:
    """Someone who pastes a key into the wrong field does not find it in the log."""
    good = json.loads(sample(PrivateRing).encode())
    key = base64.b64encode(secrets.token_bytes(33)).decode()
    place = good if field in good else good["keys"][0]
    place[field] = key
    assert key not in refusal(PrivateRing, good)
    assert key not in refusal(PrivateRing, {**good, key: key})


def edited(ring: PrivateRing, *edits: dict[str, str]) -> dict[str, Any]:
    """A private ring's JSON with some of its keys' fields changed."""
    form: dict[str, Any] = json.loads(ring.encode())
    for entry, edit in zip(form["keys"], edits, strict=False):
        entry.update(edit)
    return form


def test_what_is_wrong_is_named() -> None:
    """Each problem has words of its own, and a field or an id where there is one."""
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
    """Another key's id, a point of small order, a lattice key out of range, and keys of wrong length."""
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
def test_signing_keys_are_checked(form: type[KeyFile]) -> None:
    """A key of wrong length, and one under another's id, are refused."""
    good = json.loads(sample(form).encode())
    place = good["keys"][0] if "keys" in good else good
    field = "public" if "keys" in good else "private"
    old, place[field] = place[field], "AAAA"
    assert "not a usable Ed25519 key" in refusal(form, good)
    place.update({field: old, "id": "00" * 8})
    assert "states a wrong id" in refusal(form, good)


def test_rotation(ring: PrivateRing) -> None:
    """The new primary is of the old one's suite; the old one is active, then retired, then gone."""
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


def test_a_number_only_grows(ring: PrivateRing) -> None:
    """A rotation adds one, or goes beyond a number that is known; to retire and to remove a key leave it as it is."""
    old = ring.public().primary.id
    rotated = ring.rotated()
    given_up = rotated.retired(old)
    assert [1, 2, 2, 2, 3, 8] == [
        one.number
        for one in (ring, rotated, given_up, given_up.without(old), rotated.rotated(), ring.rotated(beyond=7))
    ]
    assert [2, 2, 2] == [
        one.number
        for one in (
            PrivateRing.decode(given_up.encode()),
            PublicRing.decode(given_up.public().encode()),
            given_up.public().without({old}),
        )
    ]


@pytest.mark.parametrize("form", [PublicRing, PrivateRing])
def test_a_ring_of_the_first_form(form: type[PublicRing] | type[PrivateRing]) -> None:
    """It is read, counts as lowest and stays as it is. It may have no number, and the second form must have one."""
    kind = "public" if form is PublicRing else "private"
    now = json.loads(sample(form).encode())
    assert (f"nightsafe-{kind}-ring/2", 2) == (now["format"], now.pop("number"))
    old = {**now, "format": f"nightsafe-{kind}-ring/1"}
    ring = form.decode(json.dumps(old).encode())
    assert (0, old) == (ring.number, json.loads(ring.encode()))
    for wrong in (now, {**old, "number": 1}, {**now, "number": 0}, {**now, "number": -1}, {**now, "number": "1"}):
        assert "$.number" in refusal(form, wrong)


def test_clients_are_offered_the_first_form(ring: PrivateRing) -> None:
    """Every release of them reads that, and they need no number."""
    offered = json.loads(ring.rotated().public().offered())
    assert ("nightsafe-public-ring/1", False) == (offered["format"], "number" in offered)
    assert json.loads(ring.rotated().public().encode())["keys"] != offered["keys"] != []


class Histories:
    """The public rings of a safe through two rotations, each after what was done to it."""

    def __init__(self) -> None:
        first = PrivateRing.generate()
        self.old = first.public().primary.id
        second = first.rotated()
        self.first, self.second = first.public(), second.public()
        self.retired = self.second.retiring({self.old})
        self.removed = self.second.without({self.old})
        self.third = second.rotated().public()
        apart = first.rotated()
        self.apart, self.apart_twice = apart.public(), apart.rotated().public()


def test_no_older_ring_succeeds() -> None:
    """Neither one of an earlier rotation nor one with a key that is gone, nor one that was rotated apart."""
    rings = Histories()
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
            new.succeeding(before, "the file")
        assert caught.value.problems[0].detail.startswith("the file: ")


def test_a_key_that_was_given_up_may_be_missing() -> None:
    """When it is retired in the ring in use, or known to be, a primary too. Nobody is asked without need."""
    rings = Histories()
    newest = rings.third.without({rings.old})
    assert newest is newest.succeeding(rings.retired)
    assert newest is newest.succeeding(rings.second, given_up=lambda: [rings.old])
    assert newest is newest.succeeding(rings.first, given_up=lambda: {rings.old})
    asked = Mock(return_value=[])
    rings.third.succeeding(rings.second, given_up=asked)
    asked.assert_not_called()


def test_what_is_retired_stays_so() -> None:
    """A newer ring, or the same one without that, does not let a key take values again; nor may it be the primary."""
    rings = Histories()
    for new in (rings.second, rings.third):
        key = new.succeeding(rings.retired).get(rings.old)
        assert key is not None
        assert State.RETIRED is key.state
    assert rings.removed is rings.removed.succeeding(rings.retired)
    with pytest.raises(NightsafeError, match="retired here"):
        rings.third.retiring({rings.third.primary.id})


def test_rings_without_a_number() -> None:
    """Any other follows, but for one whose primary is an older key of the one there is."""
    rings = Histories()
    first, second = (PublicRing.decode(ring.offered()) for ring in (rings.first, rings.second))
    assert second is second.succeeding(first)
    assert rings.third is rings.third.succeeding(second)
    with pytest.raises(NightsafeError, match="older key of the ring in use"):
        first.succeeding(second)
    with pytest.raises(NightsafeError, match="its number is 0"):
        second.succeeding(rings.first)


def test_a_private_ring_does_not_step_back(ring: PrivateRing) -> None:
    """An older copy lacks keys; what was retired or removed at the same number is no older."""
    rotated = ring.rotated()
    smaller = rotated.retired(ring.keys[0].id).without(ring.keys[0].id)
    assert rotated is rotated.succeeding(ring)
    assert smaller is smaller.succeeding(rotated)
    with pytest.raises(NightsafeError, match="older"):
        ring.succeeding(rotated)


def test_a_key_in_use_is_not_given_up(ring: PrivateRing) -> None:
    """The primary can be neither retired nor dropped, an active key not dropped, an unknown one neither."""
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


def test_rings_correspond(ring: PrivateRing) -> None:
    """A private ring covers its own public ring and older ones, not one with a key it lacks."""
    rotated = ring.rotated()
    rotated.check_covers(rotated.public())
    rotated.check_covers(ring.public())
    with pytest.raises(NightsafeError, match=rotated.public().primary.id):
        ring.check_covers(rotated.public())


def test_one_id_for_two_keys_is_no_correspondence(ring: PrivateRing) -> None:
    """The keys themselves are compared: should two share an id, they still differ."""
    twin = replace(ring.public().primary, public=b"another key of the same id")
    with pytest.raises(NightsafeError, match=twin.id):
        ring.check_covers(PublicRing([twin]))


def test_nothing_private_shows(ring: PrivateRing, signing_key: SigningKey) -> None:
    """No repr holds private bytes."""
    private = ring.keys[0].private.reveal()
    shown = f"{ring!r} {ring.keys!r} {signing_key!r}"
    assert repr(private)[2:-1] not in shown
    assert private.hex() not in shown
