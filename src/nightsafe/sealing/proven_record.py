"""The stored record of version 2: a sealed value with the proof that it was put in its place.

`docs/sealed-format.md`, "Stored record, version 2", is the layout.
"""

from hashlib import sha256
from typing import Final, Self

import msgspec

from nightsafe.merkle.statements import StatementProof
from nightsafe.sealing.encoding import encode
from nightsafe.sealing.record import cannot_open

PROVEN_MAGIC: Final = b"NSR\x02"
_PUT: Final = encode(b"nightsafe put v1")
_SINCE_END: Final = 12
_HEAD: Final = 14


class ProvenRecord(msgspec.Struct, frozen=True):
    """The parsed fields of a record of version 2.

    Attributes:
        since: the number of the version that put the value; for an item of a collection, the time in microseconds.
        proof: the proof of the statement that the value was put.
        sealed: the whole sealed value.
    """

    since: int
    proof: StatementProof
    sealed: bytes

    def pack(self) -> bytes:
        """Return the bytes that `parse` reads."""
        return self.join(self.since, self.proof.pack(), self.sealed)

    @staticmethod
    def join(since: int, proof: bytes, sealed: bytes) -> bytes:
        """Return the bytes of a record whose proof is packed already."""
        return PROVEN_MAGIC + since.to_bytes(8, "big") + len(proof).to_bytes(2, "big") + proof + sealed

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Parse a record without checking its proof.

        Raises:
            NightsafeError: CANNOT_OPEN, when the layout is wrong.
        """
        end = _HEAD + int.from_bytes(data[_SINCE_END:_HEAD], "big")
        if not data.startswith(PROVEN_MAGIC) or end >= len(data):
            raise cannot_open()
        try:
            proof = StatementProof.parse(data[_HEAD:end])
        except ValueError:
            raise cannot_open() from None
        return cls(int.from_bytes(data[4:_SINCE_END], "big"), proof, data[end:])


def put_digest(record_digest: bytes, since: int) -> bytes:
    """Return the statement that a value was put.

    Args:
        record_digest: `Context.record_digest` of the value.
        since: as in `ProvenRecord`. Resealing keeps it.
    """
    return sha256(_PUT + encode(record_digest, since.to_bytes(8, "big"))).digest()
