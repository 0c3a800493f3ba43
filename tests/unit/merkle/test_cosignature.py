"""Cosignatures and verifier keys, against the examples of C2SP and by round trips."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.checkpoint import Checkpoint, NoteKey, read_note, signatures
from nightsafe.merkle.cosignature import cosign, cosignature_time, cosigners_of
from nightsafe.merkle.verifier_key import COSIGNATURE, ED25519, VerifierKey

EXAMPLE = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa"
    " Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZ"
    "qhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
).encode()
"""The example of tlog-cosignature."""

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = VerifierKey("witness.example/w1", COSIGNATURE, PRIVATE.public_key().public_bytes_raw())
TEXT = Checkpoint("example.com/log", 7, bytes(32), ("an extension",)).text()


def test_the_example_of_the_specification_is_read() -> None:
    """The example's checkpoint, its two signatures and the time of the cosignature are read."""
    log, witness = signatures(EXAMPLE.rpartition(b"\n\n")[2])

    assert 20852163 == read_note(EXAMPLE).size
    assert "example.com/behind-the-sofa" == log[0]
    assert ("witness.example.com/w1", "8d66cf3f") == (witness[0], witness[1].hex())
    assert 1679315147 == int.from_bytes(witness[2][:8], "big")
    assert 72 == len(witness[2])


def test_the_key_of_the_specification_verifies_its_note() -> None:
    """The verifier key in the example of signed-note verifies the note in that example."""
    key = VerifierKey.parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", ED25519)
    line = (
        "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72I"
        "neyaQM=\n"
    )
    [(name, key_id, signature)] = signatures(line.encode())

    assert (key.name, key.id) == (name, key_id)
    assert key.note_key().verify(b"This is an example message.\n", signature)
    assert not key.note_key().verify(b"This is another message.\n", signature)


def test_a_public_key_of_a_witness_is_read() -> None:
    """The verifier key of a witness that others run has the id that its type gives it."""
    known = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
    key = VerifierKey.parse(known, COSIGNATURE)

    assert ("remora.n621.de", known) == (key.name, key.encode())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "NAME.ID.KEY"),
        ("name+00000000", "NAME.ID.KEY"),
        ("a name+da77ade7+BOvN", "NAME.ID.KEY"),
        ("+da77ade7+BOvN", "NAME.ID.KEY"),
        ("name+DA77ADE7+BOvN", "NAME.ID.KEY"),
        ("remora.n621.de+da77ade7+not Base64!", "not Base64"),
        ("remora.n621.de+da77ade8+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2", "does not belong"),
        ("other.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2", "does not belong"),
        ("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", "type 4"),
        ("remora.n621.de+da77ade7+BOvN", "type 4"),
    ],
)
def test_another_text_is_no_key(text: str, reason: str) -> None:
    """A text with another form, type or id is refused with the reason."""
    with pytest.raises(NightsafeError, match=reason):
        VerifierKey.parse(text, COSIGNATURE)


def test_a_cosignature_covers_time_and_whole_checkpoint() -> None:
    """A cosignature is over two lines and the checkpoint's text with its extensions, as the specification says."""
    line = cosign(KEY, PRIVATE.sign, TEXT, 1679315147)
    [(name, key_id, signature)] = signatures(line)
    message = b"cosignature/v1\ntime 1679315147\n" + TEXT

    assert (KEY.name, KEY.id) == (name, key_id)
    assert (1679315147).to_bytes(8, "big") + PRIVATE.sign(message) == signature
    assert 1679315147 == cosignature_time(KEY, TEXT, signature)
    assert cosignature_time(KEY, TEXT.replace(b"an ext", b"no ext"), signature) is None
    assert cosignature_time(KEY, TEXT, bytes(8) + signature[8:]) is None
    assert cosignature_time(KEY, TEXT, signature[:-1]) is None


def test_a_time_of_zero_is_not_valid() -> None:
    """A cosignature with the time 0, or one above 2^63 - 1, is not valid, although the signature is right."""
    for time in (0, 1 << 63):
        [(_, _, signature)] = signatures(cosign(KEY, PRIVATE.sign, TEXT, time))
        assert cosignature_time(KEY, TEXT, signature) is None


def test_only_known_witnesses_count() -> None:
    """Signatures of others are ignored, also with the same name or id; a wrong one in a known name is refused."""
    log = NoteKey("example.com/log", Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    line, other = cosign(KEY, PRIVATE.sign, TEXT, 5), VerifierKey(KEY.name, COSIGNATURE, log.public)
    note = TEXT + b"\n" + log.line(bytes(64)) + cosign(other, PRIVATE.sign, TEXT, 5) + line
    assert {KEY: line} == cosigners_of(note, [KEY])

    wrong = TEXT + b"\n" + line.replace(line[-10:-4], base64.b64encode(bytes(4))[:6])
    with pytest.raises(NightsafeError) as caught:
        cosigners_of(wrong, [KEY])
    assert Code.CANNOT_OPEN is caught.value.code
