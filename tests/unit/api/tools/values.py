"""Planted values that no answer may contain, and names that are hard to handle."""

import base64
import itertools
from typing import Any

from hypothesis import strategies as st
from tests.unit.api.tools.mutate import Path, replaced, without

PLANT = "planted-value"

_count = itertools.count()

NASTY = (
    "mySecret",
    "a/b",
    "a%2Fb",
    "100%",
    "%ZZ",
    "%00",
    "%FF",
    ".",
    "..",
    " ",
    "plus+sign",
    "q?x=1&y",
    "#",
    "nul\0byte",
    "new\r\nline",
    '"quotes"\\',
    "e\N{COMBINING ACUTE ACCENT}",
    "\N{LATIN SMALL LETTER E WITH ACUTE}",
    "\N{RIGHT-TO-LEFT OVERRIDE}x",
    "\N{ZERO WIDTH NO-BREAK SPACE}",
    "\x1e",
    "\x7f",
    "\U0010ffff",
    "emoji😀",
    "secrets",
    "__proto__",
    "~0~1",
    "' OR 1=1; --",
    "{detail}",
)


def names() -> st.SearchStrategy[str]:
    """Return a strategy of names that a secret may have, often nasty ones."""
    return st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10)


def planted() -> str:
    """Return a value that occurs nowhere else."""
    return f"{PLANT}-{next(_count):06}"


def holds_plant(data: bytes) -> bool:
    """Return whether the bytes contain a planted value, in any form in which it is sent."""
    encoded = base64.b64encode(PLANT.encode())[:-4]
    return PLANT.encode() in data or encoded in data or encoded.replace(b"+", b"-").replace(b"/", b"_") in data


def text(name: str, value: str | None = None) -> dict[str, Any]:
    """Return a `secret_text`."""
    return {"name": name, "type": "secret_text", "text": planted() if value is None else value}


def key(name: str, key_format: str = "raw") -> dict[str, Any]:
    """Return a `secret_key` for HMAC with planted bytes."""
    value = planted().encode()
    shown = shown_key(name, key_format)
    if key_format == "raw":
        return {**shown, "key_base64": base64.b64encode(value).decode()}
    return {**shown, "key_jwk": {"kty": "oct", "k": base64.urlsafe_b64encode(value).decode().rstrip("=")}}


def shown_key(name: str, key_format: str = "raw") -> dict[str, Any]:
    """Return a `secret_key` as reads show it."""
    return {
        "name": name,
        "type": "secret_key",
        "format": key_format,
        "algorithm": {"name": "HMAC", "hash": "SHA-256"},
        "usages": ["sign", "verify"],
    }


def shown(secret: dict[str, Any]) -> dict[str, Any]:
    """Return a secret as reads show it."""
    return {member: secret[member] for member in secret if member not in {"text", "key_base64", "key_jwk"}}


JSON_TYPES: dict[str, Any] = {
    "null": None,
    "true": True,
    "zero": 0,
    "negative": -1,
    "fraction": 0.5,
    "huge": 2**63,
    "empty string": "",
    "string": "a string",
    "empty array": [],
    "array": [None, 1, "x", {}, []],
    "empty object": {},
    "object": {"a": {"b": [1]}},
}
"""At least one value of each JSON type."""


def any_json() -> st.SearchStrategy[Any]:
    """Return a strategy of JSON values whose strings and members are often words of the API."""
    strings = st.sampled_from(WORDS) | st.text(max_size=8)
    leaves = st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats(allow_nan=False) | strings
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(strings, inner, max_size=5),
        max_leaves=12,
    )


WORDS = (
    "name", "type", "text", "json", "secret_text", "secret_key", "inherit", "format", "algorithm",
    "usages", "key_base64", "key_jwk", "raw", "jwk", "pkcs8", "HMAC", "hash", "SHA-256", "sign", "kty", "oct", "k",
    "secrets", "version_tags", "main_module", "body_part", "worker.js", "bindings", "keep_bindings", "old_name",
    "version_id", "latest", "compatibility_date", "2026-01-01", "compatibility_flags", "annotations", "tags",
    "logpush", "observability", "tail_consumers", "placement", "", "A", "a/b",
)  # fmt: skip
"""Words of the API, except `plain_text`: a planted value of that type would rightly be shown."""


def with_each_type(sent: dict[str, Any], place: Path) -> dict[str, Any]:
    """Return the JSON object with a field left out, and with a value of each JSON type in its place, by a name."""
    changed = {kind: replaced(sent, place, value) for kind, value in JSON_TYPES.items()}
    return {"left out": without(sent, place)} | changed
