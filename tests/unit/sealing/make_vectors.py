"""Makes the vectors of the sealed-value format, with the second implementation.

Run `python -m tests.unit.sealing.make_vectors`. The keys are hashes of fixed words, so they are the same each time.
Only ML-KEM's encapsulation is random, so existing hybrid vectors are not overwritten.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.unit.sealing import format_reference as reference
from tests.unit.sealing import hpke_reference as hpke
from tests.unit.sealing.format_reference import Place, sign
from tests.unit.sealing.proven_vectors import proven_altered, proven_good, proven_moved
from tests.unit.sealing.vector_parts import (
    BASE,
    ELSEWHERE,
    ENC,
    GROUP,
    GROUP_ID,
    GROUP_KEY,
    GROUPED,
    GROUPED_BODY,
    GROUPED_HYBRID,
    HYBRID,
    OTHER_GROUP,
    PLACE,
    Case,
    flipped,
    made_up,
)

FOLDER = Path(__file__).parents[2] / "vectors" / "sealed-values"
SUITE_NAMES = {1: "x25519", 2: "mlkem768-x25519"}
RING = [("primary", 1, "primary"), ("older", 1, "active"), ("oldest", 1, "retired"), ("hybrid", 2, "active")]
SIGNERS = ["node", "second node"]


def good() -> Iterator[Case]:
    """Yield the records that open."""
    for size in (0, 1, 63, 64, 1023, 1024, 5000):
        value = (b"0123456789abcdef" * 320)[:size]
        yield Case(f"good-{size:04}-bytes", BASE.holding(value).record(), value=value)
    yield Case("good-looks-like-padding", BASE.holding(b"\x80\x00\x00").record(), value=b"\x80\x00\x00")
    plain = Place("a", "", "naïve-☂", "N", "secret_text", b"")
    yield Case("good-text-in-utf-8", replace(BASE, place=plain).record(), place=plain, value=b"s3cr3t")
    for name in ("older", "oldest"):
        yield Case(f"good-{name}-key", replace(BASE, private=made_up(name)).record(), value=b"s3cr3t")
    yield Case("good-second-signer", replace(BASE, signer=made_up("second node")).record(), value=b"s3cr3t")


def moved() -> Iterator[Case]:
    """Yield records moved to another place, both unchanged and signed again for the wrong place."""
    for field, place in ELSEWHERE.items():
        yield Case(f"moved-{field}", BASE.record(), place, reason=f"signed for another {field}")
        resigned = sign(place, BASE.sealed(), BASE.signer)
        yield Case(f"moved-signed-{field}", resigned, place, reason=f"sealed for another {field}")


def cut() -> Iterator[Case]:
    """Yield records with a wrong length."""
    record, sealed = BASE.record(), BASE.sealed()
    for name, size in [
        ("empty", 0),
        ("version", 4),
        ("signature", 76),
        ("no-sealed-value", 77),
        ("tag", len(record) - 1),
    ]:
        yield Case(f"cut-{name}", record[:size], reason="truncated")
    for name, size in [("header", 28), ("body", 29), ("block", len(sealed) - 64), ("tag", len(sealed) - 1)]:
        yield Case(f"cut-signed-{name}", sign(PLACE, sealed[:size], BASE.signer), reason="sealed value truncated")
    yield Case("longer", record + b"\x00", reason="a byte too many")
    yield Case("longer-signed", sign(PLACE, sealed + b"\x00", BASE.signer), reason="a byte too many")


def foreign() -> Iterator[Case]:
    """Yield records with unknown versions, suites, keys and signers."""
    record, sealed = BASE.record(), BASE.sealed()
    yield Case("unsigned", sealed, reason="a bare sealed value")
    yield Case("record-magic", flipped(record, 0), reason="unknown record magic")
    yield Case("record-version", flipped(record, 3, 3), reason="unknown record version")
    yield Case("record-algorithm", flipped(record, 4, 3), reason="unknown signature algorithm")
    yield Case("signer-unknown", replace(BASE, signer=made_up("stranger")).record(), reason="unknown signer")
    second = reference.signer_id(reference.signer_public(made_up("second node")))
    yield Case("signer-swapped", record[:5] + second + record[13:], reason="signed by another trusted key")
    for name, position, bits in [("magic", 0, 1), ("version", 3, 3), ("suite", 4, 2), ("other-suite", 4, 3)]:
        altered = sign(PLACE, flipped(sealed, position, bits), BASE.signer)
        yield Case(f"sealed-{name}", altered, reason=f"unknown or wrong {name} of the sealed value")
    yield Case("key-unknown", replace(BASE, private=made_up("not in the ring")).record(), reason="unknown key id")
    older = reference.key_id(1, hpke.public_of(hpke.X25519_KEM, made_up("older")))
    swapped = sealed[:5] + older + sealed[13:]
    yield Case("key-swapped", sign(PLACE, swapped, BASE.signer), reason="sealed to another key of the ring")


def altered() -> Iterator[Case]:
    """Yield records with one changed bit."""
    record, sealed = BASE.record(), BASE.sealed()
    for name, position in [("first", 13), ("middle", 45), ("last", 76)]:
        yield Case(f"bad-signature-{name}", flipped(record, position), reason="bad signature")
    yield Case("altered-sealed", flipped(record, len(record) - 1), reason="signature is of other bytes")
    for name, position in [("value-id", 13), ("enc", 29), ("ciphertext", 61), ("tag", len(sealed) - 1)]:
        again = sign(PLACE, flipped(sealed, position), BASE.signer)
        yield Case(f"altered-signed-{name}", again, reason=f"{name} altered, then signed")
    low = sealed[:29] + bytes(32) + sealed[61:]
    yield Case("enc-small-order", sign(PLACE, low, BASE.signer), reason="enc is a point of small order")


def padded_wrongly() -> Iterator[Case]:
    """Yield records that are sealed and signed correctly, but not padded as the format requires."""
    for name, padded in {
        "zeros": bytes(64),
        "no-mark": b"s3cr3t".ljust(64, b"\x00"),
        "other-mark": b"s3cr3t\x81".ljust(64, b"\x00"),
        "after-mark": b"s3cr3t\x80".ljust(63, b"\x00") + b"\x01",
        "step-too-many": b"s3cr3t\x80".ljust(128, b"\x00"),
        "no-step": b"s3cr3t\x80".ljust(65, b"\x00"),
        "not-padme": b"x" * 2048 + b"\x80".ljust(64, b"\x00"),
    }.items():
        yield Case(f"padding-{name}", replace(BASE, padded=padded).record(), reason="bad padding")


def hybrid() -> Iterator[Case]:
    """Yield records of the other suite, which differ each time."""
    yield Case("hybrid-good", HYBRID.record(), value=b"s3cr3t")
    yield Case("hybrid-good-empty", HYBRID.holding(b"").record(), value=b"")
    place = ELSEWHERE["name"]
    yield Case("hybrid-moved", sign(place, HYBRID.sealed(), BASE.signer), place, reason="sealed for another name")
    for name, position in [("lattice", 29), ("curve", 29 + 1088), ("ciphertext", 29 + 1120)]:
        again = sign(PLACE, flipped(HYBRID.sealed(), position), BASE.signer)
        yield Case(f"hybrid-altered-{name}", again, reason=f"{name} half altered, then signed")


def grouped_good() -> Iterator[Case]:
    """Yield the records of version 2 that open."""
    for size in (0, 1, 63, 64, 5000):
        value = (b"0123456789abcdef" * 320)[:size]
        yield Case(f"grouped-good-{size:04}-bytes", GROUPED.holding(value).record(), value=value)
    plain = Place("a", "", "naïve-☂", "N", "secret_text", b"")
    yield Case("grouped-good-text-in-utf-8", replace(GROUPED, place=plain).record(), place=plain, value=b"s3cr3t")
    for name in ("older", "oldest"):
        group = replace(GROUP, private=made_up(name))
        yield Case(f"grouped-good-{name}-key", replace(GROUPED, group=group).record(), value=b"s3cr3t")
    for number, place in (("first", PLACE), ("second", ELSEWHERE["name"])):
        recipe = replace(GROUPED, place=place, value_id=made_up(f"{number} of two")[:16])
        value = f"the {number} of two".encode()
        yield Case(f"grouped-good-{number}-of-two", recipe.holding(value).record(), place, value)


def grouped_moved() -> Iterator[Case]:
    """Yield records of version 2 moved to another place, signed again for the wrong place."""
    for field, place in ELSEWHERE.items():
        resigned = sign(place, GROUPED.sealed(), GROUPED.signer)
        yield Case(f"grouped-moved-signed-{field}", resigned, place, reason=f"sealed for another {field}")


def grouped_mixed() -> Iterator[Case]:
    """Yield records of version 2 that were put together from two groups, two values, two keys or two versions."""
    ours, other = GROUPED.sealed(), replace(GROUPED, group=OTHER_GROUP).sealed()
    second = replace(GROUPED, value_id=made_up("second of two")[:16]).holding(b"the second of two").sealed()
    older = reference.key_id(1, hpke.public_of(hpke.X25519_KEM, made_up("older")))
    for name, sealed, reason in [
        ("group-id", ours[:GROUP_ID] + other[GROUP_ID:ENC] + ours[ENC:], "the id of another group"),
        ("enc", ours[:ENC] + other[ENC:GROUP_KEY] + ours[GROUP_KEY:], "the enc of another group"),
        ("key", ours[:GROUP_KEY] + other[GROUP_KEY:GROUPED_BODY] + ours[GROUPED_BODY:], "the key of another group"),
        ("group", ours[:GROUP_ID] + other[GROUP_ID:GROUPED_BODY] + ours[GROUPED_BODY:], "the whole of another group"),
        ("value-id", ours[:13] + second[13:GROUP_ID] + ours[GROUP_ID:], "the id of another value of the group"),
        ("body", ours[:GROUPED_BODY] + second[GROUPED_BODY:], "the ciphertext of another value of the group"),
        ("key-id", ours[:5] + older + ours[13:], "sealed to another key of the ring"),
        ("version-1", b"NSV\x01" + ours[4:], "version 2 called version 1"),
        ("version-2", b"NSV\x02" + BASE.holding(bytes(200)).sealed()[4:], "version 1 called version 2"),
    ]:
        yield Case(f"grouped-mixed-{name}", sign(PLACE, sealed, GROUPED.signer), reason=reason)


def grouped_altered() -> Iterator[Case]:
    """Yield records of version 2 that are cut, longer or altered, and then signed."""
    sealed, end = GROUPED.sealed(), len(GROUPED.sealed())
    for name, size in [
        ("header", GROUP_ID - 1),
        ("value-id", GROUP_ID),
        ("group-id", ENC),
        ("enc", GROUP_KEY),
        ("group-key", GROUPED_BODY - 1),
        ("group", GROUPED_BODY),
        ("block", end - 64),
        ("tag", end - 1),
    ]:
        cut = sign(PLACE, sealed[:size], GROUPED.signer)
        yield Case(f"grouped-cut-{name}", cut, reason="sealed value truncated")
    yield Case("grouped-longer", sign(PLACE, sealed + b"\x00", GROUPED.signer), reason="a byte too many")
    for name, position, bits in [
        ("version", 3, 1),
        ("suite", 4, 2),
        ("other-suite", 4, 3),
        ("value-id", 13, 1),
        ("group-id", GROUP_ID, 1),
        ("enc", ENC, 1),
        ("group-key", GROUP_KEY, 1),
        ("group-key-tag", GROUPED_BODY - 1, 1),
        ("ciphertext", GROUPED_BODY, 1),
        ("tag", end - 1, 1),
    ]:
        again = sign(PLACE, flipped(sealed, position, bits), GROUPED.signer)
        yield Case(f"grouped-altered-{name}", again, reason=f"{name} altered, then signed")
    low = sealed[:ENC] + bytes(32) + sealed[GROUP_KEY:]
    yield Case("grouped-enc-small-order", sign(PLACE, low, GROUPED.signer), reason="enc is a point of small order")
    stranger = replace(GROUPED, group=replace(GROUP, private=made_up("not in the ring")))
    yield Case("grouped-key-unknown", stranger.record(), reason="unknown key id")


def grouped_padded_wrongly() -> Iterator[Case]:
    """Yield records of version 2 that are not padded as the format requires."""
    for name, padded in {"zeros": bytes(64), "no-step": b"s3cr3t\x80".ljust(65, b"\x00")}.items():
        yield Case(f"grouped-padding-{name}", replace(GROUPED, padded=padded).record(), reason="bad padding")


def grouped_hybrid() -> Iterator[Case]:
    """Yield records of version 2 in the other suite, which differ each time."""
    first, place = GROUPED_HYBRID, ELSEWHERE["name"]
    second = replace(first, place=place, value_id=made_up("second of two")[:16]).holding(b"the second of two")
    yield Case("grouped-hybrid-good", first.record(), value=b"s3cr3t")
    yield Case("grouped-hybrid-good-second-of-two", second.record(), place, b"the second of two")
    moved = sign(place, first.sealed(), first.signer)
    yield Case("grouped-hybrid-moved", moved, place, reason="sealed for another name")
    for name, position in [("lattice", ENC), ("curve", ENC + 1088), ("group-key", ENC + 1120)]:
        again = sign(PLACE, flipped(first.sealed(), position), first.signer)
        yield Case(f"grouped-hybrid-altered-{name}", again, reason=f"{name} altered, then signed")


def deterministic() -> Iterator[Case]:
    """Yield every vector that is the same each time."""
    for cases in (good, moved, cut, foreign, altered, padded_wrongly):
        yield from cases()
    for cases in (grouped_good, grouped_moved, grouped_mixed, grouped_altered, grouped_padded_wrongly):
        yield from cases()
    for cases in (proven_good, proven_moved, proven_altered):
        yield from cases()


def random() -> Iterator[Case]:
    """Yield every vector that differs each time."""
    yield from hybrid()
    yield from grouped_hybrid()


def base64_of(data: bytes) -> str:
    """Return base64 as the format's files contain it."""
    return base64.b64encode(data).decode()


def private_ring() -> dict[str, Any]:
    """Return the ring file that all vectors share."""
    keys = []
    for words, suite, state in RING:
        own_id = reference.key_id(suite, hpke.public_of(reference.KEMS[suite], made_up(words))).hex()
        keys.append({"id": own_id, "suite": SUITE_NAMES[suite], "state": state, "private": base64_of(made_up(words))})
    return {"format": "nightsafe-private-ring/1", "keys": keys}


def verify_keys() -> dict[str, Any]:
    """Return the file of trusted signers that all vectors share."""
    publics = [reference.signer_public(made_up(words)) for words in SIGNERS]
    keys = [{"id": reference.signer_id(public).hex(), "public": base64_of(public)} for public in publics]
    return {"format": "nightsafe-verify-keys/1", "keys": keys}


def text_of(case: Case) -> str:
    """Return the content of a vector's file."""
    context = {**vars(case.place), "public": case.place.public.decode()}
    outcome: dict[str, Any] = {"expect": "cannot_open", "reason": case.reason}
    if case.value is not None:
        digest = hashlib.sha256(case.value).hexdigest()
        outcome = {"expect": "success", "plaintext_length": len(case.value), "plaintext_sha256": digest}
    form = {
        **outcome,
        "context": context,
        "record": base64_of(case.record),
        "private_ring": private_ring(),
        "verify_keys": verify_keys(),
    }
    return json.dumps(form, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write all vectors; hybrid vectors only if they do not exist yet."""
    for case in deterministic():
        (FOLDER / f"{case.name}.json").write_text(text_of(case))
    for case in random():
        path = FOLDER / f"{case.name}.json"
        if not path.exists():
            path.write_text(text_of(case))


if __name__ == "__main__":
    main()
