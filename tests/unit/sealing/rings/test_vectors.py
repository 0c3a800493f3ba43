"""The vectors of ring lineage, checked with the package and with an independent second implementation."""

import base64
import json
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from tests.unit.sealing.rings.make_vectors import FOLDER, text, vectors

from nightsafe.errors import NightsafeError
from nightsafe.sealing.rings.lineage import MAX_LINKS, Identity, Lineage, NotFollowedError, follow
from nightsafe.sealing.rings.public_ring import PublicRing

NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
SUITES = {"x25519": b"\x01", "mlkem768-x25519": b"\x02"}


def read(name: str) -> dict[str, Any]:
    """Return one vector."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def raw(shown: str | None) -> bytes:
    """Return the bytes of a base64 text."""
    return base64.b64decode(shown or "")


def encode(*items: bytes) -> bytes:
    """Encode items as the format page defines."""
    return b"".join(len(item).to_bytes(4, "big") + item for item in items)


def followed(known: dict[str, Any], offered: dict[str, Any]) -> int | None:
    """Return the number that is remembered, or None, by the format page's rule written a second time."""
    [primary] = [key for key in offered["keys"] if key["state"] == "primary"]
    digest = sha256(encode(b"nightsafe ring primary v1", SUITES[primary["suite"]], raw(primary["public"]))).digest()
    lineage = offered.get("lineage", {})
    signer, before = raw(lineage.get("signer")), raw(known["signer"])
    if digest == raw(known["primary"]):
        return None if before and signer not in {b"", before} else max(known["number"], 0)
    reached = {before: known["number"]} if before and signer else {}
    for link in sorted(lineage.get("links", []), key=lambda one: one["number"]):
        fields = [raw(link[name]) for name in ("primary", "signer", "by")]
        message = encode(b"nightsafe ring link v1", link["number"].to_bytes(8, "big"), *fields)
        if link["number"] <= reached.get(raw(link["by"]), 1 << 60):
            continue
        try:
            Ed25519PublicKey.from_public_bytes(raw(link["by"])).verify(raw(link["signature"]), message)
        except InvalidSignature:
            continue
        if (raw(link["signer"]), raw(link["primary"])) == (signer, digest):
            return int(link["number"])
        reached[raw(link["signer"])] = link["number"]
    return None


def test_the_generator_makes_every_ring_vector() -> None:
    """The generator makes exactly the vectors that exist, byte for byte."""
    made = dict(vectors())
    assert NAMES == sorted(made)
    assert all((FOLDER / f"{name}.json").read_text() == text(made_vector) for name, made_vector in made.items())


@pytest.mark.parametrize("name", NAMES)
def test_a_ring_vector_has_its_expected_outcome(name: str) -> None:
    """The package and the second implementation both agree with the vector."""
    vector = read(name)
    known = vector["known"]
    ring = PublicRing.decode(json.dumps(vector["offered"]).encode())
    identity = Identity(known["number"], raw(known["primary"]), raw(known["signer"]))
    try:
        number: int | None = follow(identity, ring.identity, ring.lineage.links).number
    except NotFollowedError:
        number = None

    assert vector["expect"] == ("refused" if number is None else "follows")
    assert vector.get("number") == number == followed(known, vector["offered"])
    assert vector["fingerprint"] == ring.identity.fingerprint


def test_the_number_of_links_is_limited() -> None:
    """A ring keeps only the newest links; a ring with more links, or with links and no signer, is refused."""
    [link] = PublicRing.decode(json.dumps(read("good-one-rotation")["offered"]).encode()).lineage.links

    many = tuple(msgspec.structs.replace(link, number=number) for number in range(1, MAX_LINKS + 3))
    kept = Lineage(link.signer, many[: MAX_LINKS + 1]).joined_with(Lineage(None, many[MAX_LINKS:])).links
    assert many[2:] == kept

    offered = read("good-one-rotation")["offered"]
    for damage in ({"links": offered["lineage"]["links"]}, {"signer": ""}, {"signer": "eA=="}, {}):
        with pytest.raises(NightsafeError, match="lineage"):
            PublicRing.decode(json.dumps({**offered, "lineage": damage}).encode())
