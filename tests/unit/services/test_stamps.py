"""The UUIDs of versions and deployments."""

import os
import time
import uuid

import pytest

from nightsafe.identity.grants import Grants
from nightsafe.identity.service import Principal
from nightsafe.services.caller import Caller, new_stamp

CALLER = Caller(Principal(kind="token", id="t", user_id="u", email="", grants=Grants([])))


def stamped() -> list[uuid.UUID]:
    """Return the UUIDs of a new version and its deployment."""
    stamp = new_stamp(CALLER, "secret")
    return [uuid.UUID(bytes=stamp.version_id), uuid.UUID(bytes=stamp.deployment_id)]


def test_a_uuid_has_the_form_of_version_4() -> None:
    """Both UUIDs have version 4 and the variant of RFC 9562, whatever the random bytes are."""
    found = [one for _ in range(100) for one in stamped()]

    assert {(4, uuid.RFC_4122)} == {(one.version, one.variant) for one in found}
    assert len(found) == len({str(one)[:13] for one in found})


def test_uuids_end_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last 48 bits are the time in milliseconds."""
    times = [0, 1, 255, 256, 1_700_000_000_000, 2**48 - 1]
    found = []
    for milliseconds in times:
        monkeypatch.setattr(time, "time_ns", lambda milliseconds=milliseconds: milliseconds * 1_000_000)
        found.append(stamped())

    assert times == [one.int % 2**48 for one, _ in found] == [other.int % 2**48 for _, other in found]


def test_every_random_bit_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """74 bits of each UUID are random: with all ones in place of all zeros, these bits and no others change."""
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    found = []
    for byte in (b"\x00", b"\xff"):
        monkeypatch.setattr(os, "urandom", lambda size, byte=byte: byte * size)
        found.append(stamped())

    assert [74, 74] == [(low.int ^ high.int).bit_count() for low, high in zip(*found, strict=True)]
