"""Fingerprints: they tell whether a value is the one that was put, to nobody but who has their key.

A version that this program makes bears one tag with a fingerprint of each secret that it sets: HMAC-SHA-256, cut to
128 bits, of place, name and secret, under a key that stays with those who put secrets, and with a new salt each time.
So whoever reads the tag and lacks the key can neither guess a value nor see that two are equal.
`docs/decisions/0006-the-command-line.md` says why it is done so.
"""

import base64
import binascii
import hmac
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Self

from nightsafe.cli.terminal.errors import CommandError
from nightsafe.user_folder import user_folder

TAG: Final = "nightsafe/fingerprints"
_FORM: Final = "1"
_KEY_BYTES: Final = 32
_SHOWN_BYTES: Final = 16
_PARTS: Final = 4
_MOST_FILE_BYTES: Final = 1024


class Place:
    """A script, as fingerprints know it.

    Args:
        account_id: 32 hex digits.
        script: its name.
    """

    def __init__(self, account_id: str, script: str) -> None:
        self.parts = (account_id, script)


class FingerprintKey:
    """What makes fingerprints and knows them again.

    Args:
        key: 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.id = _encode(self._digest(b"id"))[:8]

    @classmethod
    def load(cls, path: Path) -> Self:
        """The key in a file that only its owner may read.

        Raises:
            CommandError: when it is not there, others may read it, or it holds none.
        """
        try:
            with path.open("rb") as file:
                mode, content = os.fstat(file.fileno()).st_mode, file.read(_MOST_FILE_BYTES)
        except OSError as error:
            raise CommandError(f"the fingerprint key {path} cannot be read: {error.strerror}") from None
        if mode & 0o077:
            raise CommandError(f"{path} can be read by others; run: chmod 600 {path}")
        key = _decode(content.decode("latin-1").strip())
        if key is None or len(key) != _KEY_BYTES:
            raise CommandError(f"{path} holds no fingerprint key: 32 bytes in URL-safe base64")
        return cls(key)

    def tag(self, place: Place, put: Mapping[str, Mapping[str, Any]]) -> str:
        """The tag of a version that sets secrets."""
        salt = secrets.token_bytes(_SHOWN_BYTES)
        made = sorted(self._fingerprint(salt, place, name, fields) for name, fields in put.items())
        return ".".join((_FORM, self.id, _encode(salt), ",".join(made)))

    def matches(self, tag: str, place: Place, name: str, fields: Mapping[str, Any]) -> bool | None:
        """Whether a secret is among those that a tag tells of; None when the tag tells this key nothing."""
        parts = tag.split(".")
        salt = _decode(parts[2]) if len(parts) == _PARTS else None
        if salt is None or parts[0] != _FORM or parts[1] != self.id:
            return None
        made = self._fingerprint(salt, place, name, fields)
        return any(hmac.compare_digest(made.encode(), one.encode()) for one in parts[3].split(","))

    def _fingerprint(self, salt: bytes, place: Place, name: str, fields: Mapping[str, Any]) -> str:
        """Of one secret."""
        told = json.dumps([*place.parts, name, _settled(fields)], sort_keys=True, separators=(",", ":"))
        return _encode(self._digest(salt + told.encode())[:_SHOWN_BYTES])

    def _digest(self, message: bytes) -> bytes:
        """HMAC-SHA-256."""
        return hmac.digest(self._key, b"nightsafe-fingerprint/1:" + message, "sha256")


def own_key(path: Path | None) -> FingerprintKey:
    """The key in a file that was named; else the user's own, made when there is none yet.

    Raises:
        CommandError: when it cannot be read or made.
    """
    if path is not None:
        return FingerprintKey.load(path)
    folder = user_folder()
    if folder is None:
        raise CommandError("there is no home directory; name a key with --fingerprint-key-file")
    default = folder / "fingerprint-key"
    if not default.exists():
        _make(default)
    return FingerprintKey.load(default)


def tags_by_name(origins: Iterable[Mapping[str, Any]]) -> dict[str, str | None]:
    """The tag of the version that set each secret, or None where it has none."""
    found: dict[str, str | None] = {}
    for origin in origins:
        tag = (origin.get("version_tags") or {}).get(TAG)
        found[str(origin.get("name"))] = tag if isinstance(tag, str) else None
    return found


def _make(path: Path) -> None:
    """A new key, in a file that is there whole or not at all."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(_encode(secrets.token_bytes(_KEY_BYTES)) + "\n")
        try:
            path.hardlink_to(beside)
        except FileExistsError:  # another process was as quick
            pass
        finally:
            beside.unlink()
    except OSError as error:
        raise CommandError(
            f"no fingerprint key can be made at {path}: {error.strerror}; give --fingerprint-key-file, or "
            "--no-fingerprint to go without"
        ) from None


def _settled(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A secret in the one form that two ways of writing the same share."""
    settled = dict(fields)
    if "usages" in settled:
        settled["usages"] = sorted(set(settled["usages"]))
    if isinstance(settled.get("key_base64"), str):
        settled["key_base64"] = "".join(settled["key_base64"].split()).rstrip("=")
    return settled


def _encode(raw: bytes) -> str:
    """URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(encoded: str) -> bytes | None:
    """Its bytes, or None when it is none."""
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
