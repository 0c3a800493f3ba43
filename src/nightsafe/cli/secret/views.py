"""What is known of a secret, for people and for programs."""

import json
from collections.abc import Mapping
from typing import Any, Final

from nightsafe.cli.terminal.times import shown
from nightsafe.client import Secret, SecretKey

HEAD: Final = ("name", "type", "modified_on", "modified_by", "key")
ELASTIC: Final = (3, 4)
"""The columns that a narrow terminal may cut."""


def row(secret: Secret, origin: Mapping[str, Any]) -> list[str]:
    """A line of a table.

    Args:
        secret: what the API shows.
        origin: of the version that set it; empty where the server does not tell.
    """
    by = origin.get("modified_by") or origin.get("source")
    return [secret.name, secret.type, shown(origin.get("modified_on")), str(by or "-"), _key(secret)]


def fields(secret: Secret, origin: Mapping[str, Any]) -> dict[str, Any]:
    """The same as JSON; what nobody tells is null."""
    known: dict[str, Any] = {"name": secret.name, "type": secret.type}
    if isinstance(secret, SecretKey):
        known |= {"algorithm": secret.algorithm, "format": secret.format, "usages": list(secret.usages)}
    return known | {name: origin.get(name) or None for name in ("modified_on", "modified_by", "source", "version_id")}


def algorithm_words(algorithm: object) -> str:
    """An algorithm in a few words: `HMAC SHA-256`, `ECDSA P-256`."""
    if not isinstance(algorithm, dict):
        return str(algorithm)
    words = (part["name"] if isinstance(part, dict) and "name" in part else part for part in algorithm.values())
    return " ".join(word if isinstance(word, str) else json.dumps(word) for word in words)


def _key(secret: Secret) -> str:
    """What a key is, and what it is for."""
    if not isinstance(secret, SecretKey):
        return "-"
    return ", ".join((algorithm_words(secret.algorithm), secret.format, *secret.usages))
