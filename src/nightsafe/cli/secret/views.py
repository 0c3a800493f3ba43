"""The metadata of a secret, as a table row and as JSON."""

import json
from collections.abc import Mapping
from typing import Any, Final

from nightsafe.cli.terminal.times import display_time
from nightsafe.client import Secret, SecretKey

HEAD: Final = ("name", "type", "modified_on", "modified_by", "key")
ELASTIC: Final = (3, 4)
"""The columns that a narrow terminal may cut."""


def row(secret: Secret, version: Mapping[str, Any]) -> list[str]:
    """Return a secret as a row of the table.

    Args:
        secret: the secret, as the API shows it.
        version: the version that set it; empty if the server does not show it.
    """
    author = version.get("modified_by") or version.get("source")
    return [
        secret.name,
        secret.type,
        display_time(version.get("modified_on")),
        str(author or "-"),
        _describe_key(secret),
    ]


def fields(secret: Secret, version: Mapping[str, Any]) -> dict[str, Any]:
    """Return a secret as a JSON object. Unknown fields are null."""
    result: dict[str, Any] = {"name": secret.name, "type": secret.type}
    if isinstance(secret, SecretKey):
        result |= {"algorithm": secret.algorithm, "format": secret.format, "usages": list(secret.usages)}
    return result | {
        name: version.get(name) or None for name in ("modified_on", "modified_by", "source", "version_id")
    }


def describe_algorithm(algorithm: object) -> str:
    """Return an algorithm in a few words: `HMAC SHA-256`, `ECDSA P-256`."""
    if not isinstance(algorithm, dict):
        return str(algorithm)
    parts = (part["name"] if isinstance(part, dict) and "name" in part else part for part in algorithm.values())
    return " ".join(part if isinstance(part, str) else json.dumps(part) for part in parts)


def _describe_key(secret: Secret) -> str:
    """Return the algorithm, format and usages of a key; `-` for a text."""
    if not isinstance(secret, SecretKey):
        return "-"
    return ", ".join((describe_algorithm(secret.algorithm), secret.format, *secret.usages))
