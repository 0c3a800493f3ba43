"""The keys, places and recipes that the vectors of the sealed-value format are made from."""

import hashlib
from dataclasses import dataclass, replace

from tests.unit.sealing.format_reference import Group, GroupedRecipe, Place, Recipe, pad


def made_up(words: str) -> bytes:
    """Return 32 bytes that serve as a key."""
    return hashlib.sha256(b"nightsafe made-up key: " + words.encode()).digest()


PLACE = Place(
    "0123456789abcdef0123456789abcdef",
    "production",
    "billing",
    "SIGNING_KEY",
    "secret_key",
    b'{"algorithm":{"hash":"SHA-256","name":"HMAC"},"format":"raw","usages":["sign"]}',
)
ELSEWHERE = {
    "account_id": replace(PLACE, account_id="fedcba9876543210fedcba9876543210"),
    "namespace": replace(PLACE, namespace=""),
    "script": replace(PLACE, script="billing2"),
    "name": replace(PLACE, name="SIGNING_KEY2"),
    "kind": replace(PLACE, kind="secret_text"),
    "public": replace(PLACE, public=PLACE.public.replace(b'"sign"', b'"sign","verify"')),
    "field-border": replace(PLACE, script="billingS", name="IGNING_KEY"),
}
BASE = Recipe(
    PLACE, 1, made_up("primary"), made_up("node"), made_up("value")[:16], made_up("ephemeral"), pad(b"s3cr3t")
)
HYBRID = replace(BASE, suite=2, private=made_up("hybrid"))
GROUP = Group(1, made_up("primary"), made_up("group ephemeral"), made_up("group")[:16], made_up("group key"))
OTHER_GROUP = replace(
    GROUP, ephemeral=made_up("other ephemeral"), id=made_up("other group")[:16], key=made_up("other group key")
)
GROUPED = GroupedRecipe(PLACE, GROUP, BASE.signer, BASE.value_id, BASE.padded)
GROUPED_HYBRID = replace(GROUPED, group=replace(GROUP, suite=2, private=made_up("hybrid")))
GROUP_ID, ENC, GROUP_KEY, GROUPED_BODY = 29, 45, 77, 125


@dataclass(frozen=True)
class Case:
    """One vector.

    Attributes:
        name: its file's name.
        record: what is stored.
        place: where it is found.
        value: what it opens to; None when it must not open.
        reason: why it does not open.
    """

    name: str
    record: bytes
    place: Place = PLACE
    value: bytes | None = None
    reason: str = ""


def flipped(data: bytes, position: int, bits: int = 1) -> bytes:
    """Return the same bytes with some bits of one byte changed."""
    changed = bytearray(data)
    changed[position] ^= bits
    return bytes(changed)
