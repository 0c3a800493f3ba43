"""Fingerprints of secrets: with the fingerprint key they show whether a value is the one that was put.

A version that this program creates has one tag with a fingerprint of each secret that the version sets. A fingerprint
is HMAC-SHA-256, cut to 128 bits, over the account, script, name and secret, with a new salt for each version. The key
stays with the people who put secrets. A reader of the tag without the key can neither guess a value nor see that two
values are equal. `docs/decisions/0006-the-command-line.md` has the reasons.
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

from nightsafe.cli.settings.own_file import read_own_file
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.user_folder import user_folder

TAG: Final = "nightsafe/fingerprints"
_FORMAT: Final = "1"
_KEY_BYTES: Final = 32
_FINGERPRINT_BYTES: Final = 16
_PARTS: Final = 4
_MAX_FILE_BYTES: Final = 1024


class FingerprintScope:
    """A script, as an input of fingerprints.

    Args:
        account_id: ID of the account, 32 hex digits.
        script: name of the script.
    """

    def __init__(self, account_id: str, script: str) -> None:
        self.parts = (account_id, script)


class FingerprintKey:
    """A key that makes and checks fingerprints.

    Args:
        key: 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.id = _encode(self._digest(b"id"))[:8]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Load the key from a file that only its owner may read.

        Raises:
            CommandError: if the file cannot be read, others may read it, or it holds no key.
        """
        key = _decode(read_own_file(path, f"the fingerprint key {path}", _MAX_FILE_BYTES))
        if key is None or len(key) != _KEY_BYTES:
            raise CommandError(f"{path} does not hold a fingerprint key, which is 32 bytes in URL-safe base64")
        return cls(key)

    def tag(self, scope: FingerprintScope, put_secrets: Mapping[str, Mapping[str, Any]]) -> str:
        """Return the tag for a version that sets these secrets."""
        salt = secrets.token_bytes(_FINGERPRINT_BYTES)
        fingerprints = sorted(self._fingerprint(salt, scope, name, fields) for name, fields in put_secrets.items())
        return ".".join((_FORMAT, self.id, _encode(salt), ",".join(fingerprints)))

    def matches(self, tag: str, scope: FingerprintScope, name: str, fields: Mapping[str, Any]) -> bool | None:
        """Return whether a tag has this secret's fingerprint; None if the tag was made with another key."""
        parts = tag.split(".")
        salt = _decode(parts[2]) if len(parts) == _PARTS else None
        if salt is None or parts[0] != _FORMAT or parts[1] != self.id:
            return None
        fingerprint = self._fingerprint(salt, scope, name, fields)
        return any(hmac.compare_digest(fingerprint.encode(), expected.encode()) for expected in parts[3].split(","))

    def _fingerprint(self, salt: bytes, scope: FingerprintScope, name: str, fields: Mapping[str, Any]) -> str:
        """Return the fingerprint of one secret."""
        message = json.dumps([*scope.parts, name, _canonical(fields)], sort_keys=True, separators=(",", ":"))
        return _encode(self._digest(salt + message.encode())[:_FINGERPRINT_BYTES])

    def _digest(self, message: bytes) -> bytes:
        """Return the HMAC-SHA-256 of a message."""
        return hmac.digest(self._key, b"nightsafe-fingerprint/1:" + message, "sha256")


def load_or_create_key(path: Path | None) -> FingerprintKey:
    """Load the key from the named file, or else the user's own key, which is created if it does not exist.

    Raises:
        CommandError: if the key cannot be read or created.
    """
    if path is not None:
        return FingerprintKey.load(path)
    folder = user_folder()
    if folder is None:
        raise CommandError("there is no home directory; name a key with --fingerprint-key-file")
    default = folder / "fingerprint-key"
    if not default.exists():
        _create_key(default)
    return FingerprintKey.load(default)


def tags_by_name(versions: Iterable[Mapping[str, Any]]) -> dict[str, str | None]:
    """Return, by secret, the tag of the version that set it; None if the version has no tag."""
    tags: dict[str, str | None] = {}
    for version in versions:
        tag = (version.get("version_tags") or {}).get(TAG)
        tags[str(version.get("name"))] = tag if isinstance(tag, str) else None
    return tags


def _create_key(path: Path) -> None:
    """Create a key, atomically."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(_encode(secrets.token_bytes(_KEY_BYTES)) + "\n")
        try:
            path.hardlink_to(temporary)
        except FileExistsError:  # another process created it meanwhile
            pass
        finally:
            temporary.unlink()
    except OSError as error:
        raise CommandError(
            f"the fingerprint key {path} cannot be created: {error.strerror}; give --fingerprint-key-file, or "
            "--no-fingerprint to do without"
        ) from None


def _canonical(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a secret in canonical form, in which equal secrets are equal."""
    canonical = dict(fields)
    if "usages" in canonical:
        canonical["usages"] = sorted(set(canonical["usages"]))
    if isinstance(canonical.get("key_base64"), str):
        canonical["key_base64"] = "".join(canonical["key_base64"].split()).rstrip("=")
    return canonical


def _encode(raw: bytes) -> str:
    """Encode as URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(encoded: str) -> bytes | None:
    """Decode URL-safe base64. Return None if it is invalid."""
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
