"""The identity key: its file, its MACs and its refusals."""

import json
from pathlib import Path

import pytest

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.identity_key import IdentityKey

FIXED = IdentityKey(bytes(range(32)))


def test_a_key_is_saved_and_loaded(tmp_path: Path) -> None:
    """A loaded key has the same id and makes the same MACs; its file has mode 0600."""
    path = tmp_path / "identity-key.json"
    key = IdentityKey.generate()
    key.save(path)
    loaded = IdentityKey.load(path)

    assert 0o600 == path.stat().st_mode & 0o777
    assert (key.id, key.mac(b"message")) == (loaded.id, loaded.mac(b"message"))


def test_the_file_and_the_macs_are_fixed() -> None:
    """The file's form, the key's id and a MAC are those that docs/sealed-format.md describes."""
    file = json.loads(FIXED.encode())

    assert {"format": "nightsafe-identity-key/1", "id": FIXED.id} == {name: file[name] for name in ("format", "id")}
    assert ("3402b93bb95bb209", "6297b77508a1") == (FIXED.id, FIXED.mac(b"message").hex()[:12])


def test_only_the_mac_of_the_message_is_accepted() -> None:
    """A MAC of another message, under another key, cut, or of another type is none."""
    mac = FIXED.mac(b"message")

    assert FIXED.is_mac(b"message", mac)
    for other in (
        FIXED.mac(b"other"),
        IdentityKey.generate().mac(b"message"),
        mac[:-1],
        mac + b"\0",
        b"",
        "",
        None,
        0,
    ):
        assert not FIXED.is_mac(b"message", other)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format": "nightsafe-signing-key/1"}, r"wrong or missing field at \$\.format"),
        ({"id": "0" * 16}, "a key states a wrong id"),
        ({"private": "AAAA"}, "holds a key that is not 32 bytes long"),
        ({"private": 1}, r"wrong or missing field at \$\.private"),
        ({"more": 1}, "wrong or missing field"),
    ],
)
def test_a_wrong_file_is_refused(change: dict[str, object], problem: str) -> None:
    """A file with a wrong member is refused with its name and the member, and never with the key."""
    data = json.dumps(json.loads(FIXED.encode()) | change).encode()
    with pytest.raises(NightsafeError, match=problem) as refused:
        IdentityKey.decode(data, "the-file")

    assert Code.INVALID is refused.value.code
    assert "the-file" in str(refused.value)
    assert "AAECAwQ" not in str(refused.value)


def test_a_key_never_shows_itself() -> None:
    """The `repr` of a key does not contain it."""
    assert "\\x01\\x02" not in repr(FIXED)
