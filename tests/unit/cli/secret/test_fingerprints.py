"""Fingerprints: with the key, a value is recognised in its own place only; without the key, a tag reveals nothing."""

import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightsafe.cli.secret.fingerprints import TAG, FingerprintKey, FingerprintScope, load_or_create_key, tags_by_name
from nightsafe.cli.terminal.errors import CommandError

HERE = FingerprintScope("a" * 32, "worker")
KEY = FingerprintKey(bytes(32))

texts = st.text(max_size=40).map(lambda text: {"type": "secret_text", "text": text})
names = st.text(min_size=1, max_size=20)


@given(st.dictionaries(names, texts, min_size=1, max_size=5), names, texts)
def test_only_the_put_secrets_match(put: dict[str, Any], name: str, other: dict[str, Any]) -> None:
    """Each secret matches under its own name with its own value, and with no other."""
    tag = KEY.tag(HERE, put)

    assert all(KEY.matches(tag, HERE, put_name, fields) for put_name, fields in put.items())
    assert (put.get(name) == other) is KEY.matches(tag, HERE, name, other)


@given(names, texts)
def test_a_tag_matches_in_one_place_with_one_key(name: str, fields: dict[str, Any]) -> None:
    """A tag matches in no other script or account; with another key the result is None."""
    tag = KEY.tag(HERE, {name: fields})

    assert KEY.matches(tag, FingerprintScope("a" * 32, "other"), name, fields) is False
    assert KEY.matches(tag, FingerprintScope("b" * 32, "worker"), name, fields) is False
    assert FingerprintKey(b"\x01" * 32).matches(tag, HERE, name, fields) is None


@given(names, texts)
def test_two_tags_of_one_value_share_nothing(name: str, fields: dict[str, Any]) -> None:
    """Two tags of the same value share nothing, and contain only letters, digits, `-` and `_`."""
    first, second = (KEY.tag(HERE, {name: fields}).split(".") for _ in range(2))

    assert first[:2] == second[:2]
    assert set(first[2:]).isdisjoint(second[2:])
    assert set("".join(first)) <= {*string.ascii_letters, *string.digits, "-", "_"}


@given(st.text(max_size=200) | st.builds(".".join, st.lists(st.text("1ab,=-_", max_size=9), min_size=3, max_size=5)))
def test_any_text_as_a_tag_is_no_match(tag: str) -> None:
    """Any text as a tag is no match, and raises nothing."""
    assert KEY.matches(tag, HERE, "A", {"type": "secret_text", "text": "x"}) in {None, False}


def test_a_tag_of_a_hundred_secrets_fits() -> None:
    """The tag of as many secrets as one version holds is below the server's limit for annotations."""
    put = {"N" * 2000 + str(number): {"type": "secret_text", "text": "x" * 5000} for number in range(100)}

    assert len(KEY.tag(HERE, put)) < 4096


def test_a_key_written_differently_still_matches() -> None:
    """Base64 padding and the order of usages do not change the fingerprint of a key."""
    fields: dict[str, Any] = {"type": "secret_key", "format": "raw", "algorithm": {"name": "HMAC", "hash": "SHA-256"}}
    tag = KEY.tag(HERE, {"A": fields | {"usages": ["sign", "verify"], "key_base64": "AAA="}})

    assert KEY.matches(tag, HERE, "A", fields | {"usages": ["verify", "sign"], "key_base64": "AAA"})
    assert not KEY.matches(tag, HERE, "A", fields | {"usages": ["sign"], "key_base64": "AAA="})


def test_the_users_own_key_is_created_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's key is created once, with mode 0600, and then reused."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    first, second = load_or_create_key(None), load_or_create_key(None)

    file = tmp_path / "nightsafe" / "fingerprint-key"
    assert first.id == second.id == FingerprintKey.load(file).id != KEY.id
    assert (0o600, 0o700) == (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777)
    assert ["fingerprint-key"] == [path.name for path in file.parent.iterdir()]


def test_an_unusable_key_file_is_refused(tmp_path: Path) -> None:
    """A key file that others may read, or that does not contain 32 bytes, is refused without showing its content."""
    file = tmp_path / "key"
    with pytest.raises(CommandError, match="cannot be read"):
        load_or_create_key(file)
    file.write_text("canary")
    with pytest.raises(CommandError, match="can be read by others; run: chmod 600"):
        load_or_create_key(file)
    file.chmod(0o600)
    with pytest.raises(CommandError, match="does not hold a fingerprint key") as refused:
        load_or_create_key(file)
    assert "canary" not in str(refused.value)


def test_a_key_that_cannot_be_created_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When no key can be created, the message says how to continue."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))

    with pytest.raises(CommandError, match="or --no-fingerprint to do without"):
        load_or_create_key(None)


def test_only_fingerprint_tags_are_read() -> None:
    """Only well-formed fingerprint tags are taken from the server's answer."""
    told: list[dict[str, Any]] = [
        {"name": "A", "version_tags": {TAG: "tag", "other": 1}},
        {"name": "B", "version_tags": {TAG: 5}},
        {"name": "C", "version_tags": None},
        {"name": "D"},
    ]

    assert {"A": "tag", "B": None, "C": None, "D": None} == tags_by_name(told)
