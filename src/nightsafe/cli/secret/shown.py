"""What is known of a secret, for people and for programs."""

import json
from typing import Any

from nightsafe.client import Secret, SecretKey

HEAD = ("name", "type", "algorithm", "format", "usages")


def row(secret: Secret) -> list[str]:
    """A line of a table."""
    if not isinstance(secret, SecretKey):
        return [secret.name, secret.type, "-", "-", "-"]
    return [secret.name, secret.type, algorithm_words(secret.algorithm), secret.format, ",".join(secret.usages)]


def fields(secret: Secret) -> dict[str, Any]:
    """The same as JSON."""
    if not isinstance(secret, SecretKey):
        return {"name": secret.name, "type": secret.type}
    return {
        "name": secret.name,
        "type": secret.type,
        "algorithm": secret.algorithm,
        "format": secret.format,
        "usages": list(secret.usages),
    }


def algorithm_words(algorithm: object) -> str:
    """An algorithm in a few words: `HMAC SHA-256`, `ECDSA P-256`."""
    if not isinstance(algorithm, dict):
        return str(algorithm)
    words = (part["name"] if isinstance(part, dict) and "name" in part else part for part in algorithm.values())
    return " ".join(word if isinstance(word, str) else json.dumps(word) for word in words)
