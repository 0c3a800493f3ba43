"""The message with which the API proves to a delivery process that the log has only grown."""

from msgspec import Struct


class Cosigned(Struct, frozen=True):
    """A checkpoint of the log that witnesses have cosigned.

    Attributes:
        note: the signed note, with the log's signature and the cosignatures.
        proof: the hashes of the consistency proof from this checkpoint to the newest one.
    """

    note: bytes
    proof: tuple[bytes, ...]


class LogProof(Struct, frozen=True):
    """The newest checkpoint with a consistency proof.

    Attributes:
        checkpoint: the signed note; b"" before the first entry of the log.
        proof: the hashes of the consistency proof from the older size (RFC 6962, section 2.1.2).
        cosigned: the newest checkpoints that witnesses have cosigned.
    """

    checkpoint: bytes
    proof: tuple[bytes, ...]
    cosigned: tuple[Cosigned, ...] = ()
