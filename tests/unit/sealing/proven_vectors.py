"""The vectors of records of version 2: values whose proof leads to a signed group commit."""

from collections.abc import Iterator
from dataclasses import replace

from tests.unit.sealing.format_reference import Place
from tests.unit.sealing.proven_reference import ProvenRecipe, with_proof
from tests.unit.sealing.vector_parts import BASE, ELSEWHERE, GROUPED, PLACE, Case, flipped, made_up

OTHERS = tuple(made_up(f"statement {number}") for number in range(4))
ALONE = ProvenRecipe(PLACE, BASE.sealed(), BASE.signer)
OF_FIVE = replace(ALONE, others=OTHERS, position=2)
SIGNATURE, ROOT, SIZE, COUNT, POSITION, STEPS, PATH = 8, 72, 104, 112, 116, 120, 121


def proven_good() -> Iterator[Case]:
    """Yield the records that open."""
    yield Case("proven-good-alone", ALONE.record(), value=b"s3cr3t")
    for name, position in [("first", 0), ("third", 2), ("last", 4)]:
        yield Case(f"proven-good-{name}-of-five", replace(OF_FIVE, position=position).record(), value=b"s3cr3t")
    yield Case("proven-good-grouped", replace(OF_FIVE, sealed=GROUPED.sealed()).record(), value=b"s3cr3t")
    second = replace(OF_FIVE, signer=made_up("second node"))
    yield Case("proven-good-second-signer", second.record(), value=b"s3cr3t")
    plain = Place("a", "", "naïve-☂", "N", "secret_text", b"")
    utf_8 = replace(OF_FIVE, place=plain, sealed=replace(BASE, place=plain).sealed(), origin="nightsafe/naïve-☂")
    yield Case("proven-good-text-in-utf-8", utf_8.record(), place=plain, value=b"s3cr3t")


def proven_moved() -> Iterator[Case]:
    """Yield records moved to another place, both unchanged and put again in the wrong place."""
    for field, place in ELSEWHERE.items():
        yield Case(f"proven-moved-{field}", OF_FIVE.record(), place, reason=f"put for another {field}")
        stated = replace(OF_FIVE, place=place).record()
        yield Case(f"proven-moved-signed-{field}", stated, place, reason=f"sealed for another {field}")


def proven_altered() -> Iterator[Case]:
    """Yield records whose proof does not prove that this value was put here."""
    proof, sealed, since = OF_FIVE.proof(), OF_FIVE.sealed, OF_FIVE.since
    other = replace(BASE, value_id=made_up("other value")[:16]).sealed()
    steps = (len(proof) - PATH - len(OF_FIVE.origin)) // 32
    path_end = PATH + 32 * steps
    stranger = replace(OF_FIVE, signer=made_up("stranger"))
    yield Case("proven-since", with_proof(since + 1, proof, sealed), reason="another version number")
    yield Case("proven-sealed", with_proof(since, proof, other), reason="the proof of another sealed value")
    yield Case("proven-signer-unknown", stranger.record(), reason="unknown signer")
    second = replace(OF_FIVE, signer=made_up("second node")).proof()
    yield Case("proven-signer-swapped", with_proof(since, second[:8] + proof[8:], sealed), reason="another signer")
    for name, position in [
        ("signature", SIGNATURE),
        ("root", ROOT),
        ("size", SIZE + 7),
        ("count", COUNT + 3),
        ("position", POSITION + 3),
        ("path", PATH),
        ("origin", path_end),
    ]:
        yield Case(f"proven-{name}", with_proof(since, flipped(proof, position), sealed), reason=f"another {name}")
    shorter = proof[:STEPS] + bytes([steps - 1]) + proof[PATH : path_end - 32] + proof[path_end:]
    yield Case("proven-path-shorter", with_proof(since, shorter, sealed), reason="the path lacks a hash")
    longer = proof[:STEPS] + bytes([steps + 1]) + proof[PATH:path_end] + bytes(32) + proof[path_end:]
    yield Case("proven-path-longer", with_proof(since, longer, sealed), reason="the path has a hash too many")
    record = OF_FIVE.record()
    for name, size in [("head", 13), ("proof", 14 + path_end), ("no-sealed-value", 14 + len(proof))]:
        yield Case(f"proven-cut-{name}", record[:size], reason="truncated")
    yield Case("proven-no-proof", with_proof(since, b"", sealed), reason="no proof")
    yield Case("proven-version-1", b"NSR\x01" + record[4:], reason="version 2 called version 1")
