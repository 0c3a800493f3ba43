"""Signed checkpoints, as witnesses and auditors read them."""

from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.checkpoint import Checkpoint, NoteKey, open_note, read_note, signature_line, signatures
from nightsafe.merkle.cosignature import cosigners_of
from nightsafe.merkle.verifier_key import COSIGNATURE, VerifierKey
from nightsafe.sealing.signing_key import SigningKey

_PUBLIC = SigningKey.generate().verify_key.public


def check(data: bytes) -> None:
    """Check that a note reads in one way only, and that no key has signed or cosigned it."""
    try:
        checkpoint = read_note(data)
    except NightsafeError as refused:
        assert refused.code is Code.INVALID
        return
    assert data.startswith(checkpoint.text() + b"\n")
    assert checkpoint == Checkpoint.parse(checkpoint.text())
    try:
        open_note(data, [NoteKey(checkpoint.origin, _PUBLIC)])
        raise AssertionError("a note that nobody signed was opened")
    except NightsafeError as refused:
        assert refused.code in {Code.INVALID, Code.CANNOT_OPEN}
    try:
        found = signatures(data.rpartition(b"\n\n")[2])
        assert found == signatures(b"".join(signature_line(*signature) for signature in found))
        assert not cosigners_of(data, [VerifierKey(found[0][0], COSIGNATURE, _PUBLIC)])
    except NightsafeError as refused:
        assert refused.code in {Code.INVALID, Code.CANNOT_OPEN}
