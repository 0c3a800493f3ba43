"""The body of a request to cosign a checkpoint: C2SP tlog-witness, "add-checkpoint"."""

import base64
import re
from typing import Final, NamedTuple

from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.checkpoint import Checkpoint, read_note, signatures
from nightsafe.merkle.tree import HASH_SIZE

MAX_BODY_BYTES: Final = 1 << 17
"""The maximum size of a body: 63 hashes, and a checkpoint with 16 signatures of any type."""

_OLD: Final = re.compile(rb"old (0|[1-9]\d{0,18})")
_MAX_HASHES: Final = 63
_CONTROLS: Final = frozenset(range(0x20)) - {0x0A}


class AddCheckpoint(NamedTuple):
    """A parsed request.

    Attributes:
        old: the size of the log that the witness cosigned last, as the caller knows it.
        proof: the consistency proof from that size.
        note: the signed checkpoint.
        checkpoint: the checkpoint, whose signatures are not checked yet.
    """

    old: int
    proof: tuple[bytes, ...]
    note: bytes
    checkpoint: Checkpoint

    def encode(self) -> bytes:
        """Return the body that `parse` reads."""
        lines = [b"old %d" % self.old, *map(base64.b64encode, self.proof), b""]
        return b"".join(line + b"\n" for line in lines) + self.note

    @classmethod
    def parse(cls, body: bytes) -> "AddCheckpoint":
        """Parse a body.

        Raises:
            NightsafeError: INVALID, with what is wrong.
        """
        head, separator, note = body.partition(b"\n\n")
        first, *hashes = head.split(b"\n")
        match = _OLD.fullmatch(first)
        if match is None or not separator:
            raise _invalid("it must begin with a line `old SIZE`, and have an empty line before the checkpoint")
        if len(hashes) > _MAX_HASHES:
            raise _invalid(f"it has more than {_MAX_HASHES} lines of a proof")
        if not note.endswith(b"\n") or _CONTROLS & set(note):
            raise _invalid("the checkpoint is not a signed note")
        checkpoint = read_note(note)
        signatures(note.rpartition(b"\n\n")[2])
        return cls(int(match[1]), tuple(map(_hash, hashes)), note, checkpoint)


def _hash(line: bytes) -> bytes:
    """Return the hash in a line of the proof."""
    try:
        data = base64.b64decode(line, validate=True)
    except ValueError:
        data = b""
    if len(data) != HASH_SIZE or base64.b64encode(data) != line:
        raise _invalid("a line of the proof is not the Base64 of a hash")
    return data


def _invalid(reason: str) -> NightsafeError:
    """Return the refusal of a body."""
    return NightsafeError(Code.INVALID, f"the body is not a request to cosign a checkpoint: {reason}")
