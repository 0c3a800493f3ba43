"""Makes `tests/vectors/ring-lineage`, with nothing random: `python -m tests.unit.sealing.rings.make_vectors`."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from nightsafe.sealing.rings.lineage import Identity, Lineage, Link
from nightsafe.sealing.rings.private_ring import PrivateKey, PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.rings.ring_file import State
from nightsafe.sealing.rings.ring_signer import public_ring
from nightsafe.sealing.suite import Suite

FOLDER = Path(__file__).parents[3] / "vectors" / "ring-lineage"


def rings(first: int, suite: Suite = Suite.X25519, count: int = 4) -> list[tuple[PrivateRing, PublicRing]]:
    """Return a ring and the rings after each rotation; each private key is one repeated byte."""
    private = PrivateRing([_key(first, suite)], number=1)
    made = [(private, public_ring(private))]
    for step in range(1, count):
        before, public = made[-1]
        older = [key.in_state(State.ACTIVE) for key in before.keys]
        private = PrivateRing([_key(first + step, suite), *older], number=step + 1)
        made.append((private, public_ring(private, public, before.primary)))
    return made


def _key(byte: int, suite: Suite) -> PrivateKey:
    """Return a primary key."""
    return PrivateKey.load(suite, State.PRIMARY, bytes((byte,)) * 32)


def vectors() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every vector with its name."""
    own, other = [public for _, public in rings(1)], [public for _, public in rings(65)]
    hybrid = [public for _, public in rings(33, Suite.HYBRID, 2)]
    head, unsigned = own[3], replace_lineage(own[0], Lineage())
    links = head.lineage.links
    yield "good-same", vector(own[0], own[0], 1)
    yield "good-one-rotation", vector(own[0], own[1], 2)
    yield "good-missed-two", vector(own[0], own[3], 4)
    yield "good-hybrid", vector(hybrid[0], hybrid[1], 2)
    yield "good-known-without-signer", vector(unsigned, own[0], 1)
    yield "good-offered-without-signer", vector(own[0], unsigned, 1)
    yield "older", vector(own[2], own[1], "an older ring")
    yield "another", vector(own[0], other[0], "another ring")
    yield "another-greater", vector(own[0], other[3], "another ring with a greater number")
    yield (
        "cut",
        vector(own[0], replace_lineage(head, Lineage(head.lineage.signer, links[1:])), "the first link is cut"),
    )
    wrong = msgspec.structs.replace(links[2], signature=other[1].lineage.links[0].signature)
    yield (
        "signature",
        vector(own[0], with_links(head, (*links[:2], wrong)), "the last link has another signature"),
    )
    back = msgspec.structs.replace(links[2], number=1)
    yield "number", vector(own[0], with_links(head, (*links[:2], back)), "the last link's number is lower")
    stolen = Lineage(head.lineage.signer, links)
    yield "primary", vector(own[0], replace_lineage(other[3], stolen), "another primary with the links of this safe")
    yield "signer", vector(own[0], replace_lineage(own[0], other[0].lineage), "the known primary with another signer")
    yield "known-without-signer", vector(unsigned, own[1], "nothing says who was to sign")


def replace_lineage(ring: PublicRing, lineage: Lineage) -> PublicRing:
    """Return a ring with another lineage."""
    return PublicRing(ring.keys, number=ring.number, lineage=lineage)


def with_links(ring: PublicRing, links: tuple[Link, ...]) -> PublicRing:
    """Return a ring with other links."""
    return replace_lineage(ring, Lineage(ring.lineage.signer, links))


def vector(known: PublicRing, offered: PublicRing, outcome: int | str) -> dict[str, Any]:
    """Return one vector, with the number that is remembered afterwards or the reason of the refusal."""
    expected = {"expect": "follows", "number": outcome} if isinstance(outcome, int) else None
    return {
        **(expected or {"expect": "refused", "reason": outcome}),
        "known": shown(known.identity),
        "offered": json.loads(offered.encode()),
        "fingerprint": offered.identity.fingerprint,
    }


def shown(identity: Identity) -> dict[str, Any]:
    """Return what is remembered, in the form of a vector's file."""
    return {
        "number": identity.number,
        "primary": base64.b64encode(identity.primary).decode(),
        "signer": base64.b64encode(identity.signer).decode(),
    }


def text(made: dict[str, Any]) -> str:
    """Return the content of a vector's file."""
    return json.dumps(made, indent=1) + "\n"


def main() -> None:
    """Write every vector."""
    FOLDER.mkdir(exist_ok=True)
    for name, made in vectors():
        (FOLDER / f"{name}.json").write_text(text(made))


if __name__ == "__main__":
    main()
