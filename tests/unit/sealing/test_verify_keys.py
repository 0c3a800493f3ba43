"""The file of verify keys: names of nodes, retired keys, and what a retired key may still have signed."""

from pathlib import Path

import pytest

from nightsafe.errors import NightsafeError
from nightsafe.merkle.checkpoint import Checkpoint, NoteKey
from nightsafe.sealing.reloading.key_file import ReloadedFile
from nightsafe.sealing.reloading.verifier import ReloadingVerifier
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKey, VerifyKeys, check_node_name

KEY, OTHER = SigningKey.generate(), SigningKey.generate()


def named(key: SigningKey, name: str, until: int | None = None) -> VerifyKey:
    """Return the public half of a key, with the name of a node."""
    public = key.verify_key
    return VerifyKey(public.id, public.public, public.loaded, name, until)


def note(size: int, key: SigningKey = KEY) -> bytes:
    """Return a checkpoint that a key has signed."""
    text = Checkpoint("log", size, bytes(32)).text()
    return text + b"\n" + NoteKey("log", key.public).line(key.sign_message(text))


def test_names_and_retirements_are_kept() -> None:
    """A file with names and retired keys is read as it was written, in format 2."""
    keys = VerifyKeys([named(KEY, "a"), named(OTHER, "b.1-x", 7)])

    assert b'"nightsafe-verify-keys/2"' in keys.encode()
    assert keys.keys == VerifyKeys.decode(keys.encode()).keys


def test_a_file_without_nodes_has_the_first_format() -> None:
    """Keys without names stay in format 1, which every release reads."""
    keys = VerifyKeys([KEY.verify_key, OTHER.verify_key])

    assert b'"nightsafe-verify-keys/1"' in keys.encode()
    assert keys.keys == VerifyKeys.decode(keys.encode()).keys


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"keys/2", b"keys/1", "no names and no retired keys"),
        (b'"b"', b'"a"', "the name a more than once"),
        (b'"b"', b'"B"', "the name of a node"),
        (b'"b"', b'"0123456789abcdef"', "the name of a node"),
        (b": 7", b": -7", "field at .*until"),
        (b": 7", b': "7"', "field at .*until"),
        (b'"until"', b'"since"', "field at"),
    ],
)
def test_other_forms_are_refused(old: bytes, new: bytes, words: str) -> None:
    """A name twice, a malformed name, an impossible size, an unknown member, or a member of format 2 in format 1."""
    data = VerifyKeys([named(KEY, "a"), named(OTHER, "b", 7)]).encode()
    assert 1 == data.count(old)

    with pytest.raises(NightsafeError, match=words):
        VerifyKeys.decode(data.replace(old, new))


@pytest.mark.parametrize("name", ["", "-a", "a-", "a b", "A", "é", "a" * 64, "0123456789abcdef", "a/b"])
def test_a_name_has_a_simple_form(name: str) -> None:
    """A name that a terminal, a path or an id could take for something else is refused."""
    with pytest.raises(NightsafeError, match="the name of a node"):
        check_node_name(name)


def test_a_retired_key_signs_no_message() -> None:
    """Bundles have no place in the log, so a retired key's are refused, however old."""
    keys = VerifyKeys([named(KEY, "a", 7), OTHER.verify_key])

    assert not keys.verify_message(KEY.id, b"x", KEY.sign_message(b"x"))
    assert keys.verify_message(OTHER.id, b"x", OTHER.sign_message(b"x"))


def test_a_checkpoint_is_refused_beyond_the_retirement() -> None:
    """A retired key's checkpoint counts up to the size at its retirement; the refusal names the key and the size."""
    keys = VerifyKeys([named(KEY, "a", 7), OTHER.verify_key])

    assert 7 == keys.open_checkpoint(note(7)).size
    assert 8 == keys.open_checkpoint(note(8, OTHER)).size
    with pytest.raises(NightsafeError, match=f"8 entries .* {KEY.id} of the node a, which was retired .* had 7"):
        keys.open_checkpoint(note(8))
    with pytest.raises(NightsafeError, match="no trusted key"):
        keys.open_checkpoint(note(8, SigningKey.generate()))


def test_a_verifier_follows_its_file(tmp_path: Path) -> None:
    """A key counts once the file lists it, until the file retires it; a damaged file changes nothing."""
    path, reported = tmp_path / "verify-keys.json", list[NightsafeError]()
    VerifyKeys([OTHER.verify_key]).save(path)
    verifier = ReloadingVerifier(ReloadedFile(path, VerifyKeys.load, reported.append))
    signed = (KEY.id, b"x", KEY.sign_message(b"x"))
    assert not verifier.verify_message(*signed)

    VerifyKeys([OTHER.verify_key, KEY.verify_key]).save(path, replace=True)
    assert verifier.verify_message(*signed)
    assert 8 == verifier.open_checkpoint(note(8)).size

    path.write_text("{")
    assert verifier.verify_message(*signed)
    assert 1 == len(reported)

    VerifyKeys([OTHER.verify_key, named(KEY, "a", 7)]).save(path, replace=True)
    assert not verifier.verify_message(*signed)
    with pytest.raises(NightsafeError, match="was retired"):
        verifier.open_checkpoint(note(8))
