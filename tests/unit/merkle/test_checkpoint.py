"""Checkpoints: C2SP tlog-checkpoint in a C2SP signed note."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.checkpoint import Checkpoint, NoteKey, open_note, statements_line

SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = NoteKey("example.com/log", SIGNER.public_key().public_bytes_raw())
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
CHECKPOINT = Checkpoint("example.com/log", 20852163, bytes(range(32)), (statements_line(3, bytes(32)),))
TEXT = CHECKPOINT.text()
NOTE = TEXT + b"\n" + KEY.line(SIGNER.sign(TEXT))


def test_a_checkpoint_has_the_lines_of_the_specification() -> None:
    """Origin, size, root and extension lines, each ending in a newline."""
    lines = TEXT.decode().split("\n")
    assert ["example.com/log", "20852163", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="] == lines[:3]
    assert [f"statements 3 {'A' * 43}=", ""] == lines[3:]


def test_a_signed_checkpoint_opens() -> None:
    """A note with a signature of a trusted key opens, beside signatures of unknown keys."""
    stranger = NoteKey("example.com/witness", OTHER.public_key().public_bytes_raw())
    note = NOTE + stranger.line(OTHER.sign(TEXT))
    assert [CHECKPOINT] * 2 == [open_note(NOTE, [KEY]), open_note(note, [KEY])]


def test_a_verifier_key_has_the_form_of_the_specification() -> None:
    """The example of C2SP signed-note comes out: name, key hash, and algorithm with public key."""
    example = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
    public = base64.b64decode(example.rpartition("+")[2])[1:]
    assert example == NoteKey("example.com/foo", public).encode()


def test_the_signed_note_of_the_specification_has_a_valid_signature() -> None:
    """The example of C2SP signed-note verifies, and a changed text does not."""
    public = base64.b64decode("AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")[1:]
    line = "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
    key, signature = NoteKey("example.com/foo", public), base64.b64decode(line)
    assert key.id == signature[:4]
    assert key.verify(b"This is an example message.\n", signature[4:])
    assert not key.verify(b"This is an example message!\n", signature[4:])


def test_a_checkpoint_without_a_trusted_signature_is_refused() -> None:
    """Unknown keys count for nothing, and a wrong signature in a trusted name is refused."""
    strangers = [NoteKey("example.com/log", OTHER.public_key().public_bytes_raw()), NoteKey("other", KEY.public)]
    for stranger in strangers:
        with pytest.raises(NightsafeError, match="no trusted key") as info:
            open_note(NOTE, [stranger])
        assert info.value.code is Code.CANNOT_OPEN
    with pytest.raises(NightsafeError, match=r"signature of example\.com/log"):
        open_note(TEXT.replace(b"20852163", b"20852164") + b"\n" + KEY.line(SIGNER.sign(TEXT)), [KEY])


NO_NOTES = {
    "empty": b"",
    "no signature": TEXT,
    "no empty line": TEXT + KEY.line(SIGNER.sign(TEXT)),
    "a size with a zero": NOTE.replace(b"20852163", b"020852163"),
    "a negative size": NOTE.replace(b"20852163", b"-2"),
    "a huge size": NOTE.replace(b"20852163", b"9" * 30),
    "a size in other digits": NOTE.replace(b"20852163", "٢".encode()),
    "a short root": NOTE.replace(b"AAECAwQF", b""),
    "a root that is no Base64": NOTE.replace(b"AAECAwQF", b"!!!!!!!!"),
    "an empty origin": NOTE.replace(b"example.com/log\n", b"\n", 1),
    "an empty extension": NOTE.replace(b"statements", b"\nstatements"),
    "no dash": NOTE.replace("— ".encode(), b"- "),
    "a signature that is no Base64": NOTE[:-8] + b"!!!!!!!\n",
    "not UTF-8": b"\xff" + NOTE,
}


@pytest.mark.parametrize("note", NO_NOTES.values(), ids=NO_NOTES)
def test_anything_else_is_no_checkpoint(note: bytes) -> None:
    """Bytes in any other form are refused as such."""
    with pytest.raises(NightsafeError, match="not a signed checkpoint") as info:
        open_note(note, [KEY])
    assert info.value.code is Code.INVALID
