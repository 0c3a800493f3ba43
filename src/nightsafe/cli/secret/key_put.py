"""Putting a key, however it was come by."""

import base64
from typing import Any

from nightsafe.cli.remote import Remote
from nightsafe.cli.secret.fingerprint import FingerprintKey
from nightsafe.cli.secret.key_material import Key
from nightsafe.cli.secret.key_use import Use, checked
from nightsafe.cli.secret.shown import algorithm_words
from nightsafe.cli.secret.writing import write


def put_key(remote: Remote, name: str, key: Key, use: Use, fingerprint_key: FingerprintKey | None) -> dict[str, Any]:
    """Put a key that the runtime would import; gives what may be shown of it.

    Raises:
        CommandError: when the runtime would not.
        APIError: when the server refuses it.
    """
    checked(key.format, use, key.held)
    shown = {"type": "secret_key", "algorithm": use.algorithm, "format": key.format, "usages": use.usages}
    if key.format == "jwk":
        held: dict[str, Any] = {"key_jwk": key.held}
    else:
        held = {"key_base64": base64.b64encode(key.held).decode()}
    write(remote, {name: {**shown, **held}}, fingerprint_key)
    return {"script": remote.script, "name": name, **shown}


def words(shown: dict[str, Any]) -> str:
    """What was put, in a line."""
    usages = ", ".join(shown["usages"]) or "nothing by itself"
    what = f"{algorithm_words(shown['algorithm'])}, {shown['format']}, for {usages}"
    return f"{shown['name']} of {shown['script']} is put: {what}"
