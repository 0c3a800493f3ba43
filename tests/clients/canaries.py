"""Unique values to plant, and a search for them in every form in which programs write bytes."""

import base64
import secrets
from collections import defaultdict
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from urllib.parse import quote_from_bytes

from tests.clients.python_sdk.tools.keys import fresh_keys

HEAD = 8
"""Length of the prefix that the search compares first; every form is at least this long."""

CHUNK = 64 * 1024


class Canaries:
    """Makes unique values and remembers their bytes."""

    def __init__(self) -> None:
        self.planted: list[bytes] = []

    def text(self) -> str:
        """Return a new value."""
        made = f"canary/{secrets.token_urlsafe(18)}+{secrets.token_hex(6)}"
        self.planted.append(made.encode())
        return made

    def key(self, key_format: str) -> dict[str, object]:
        """Return a new key in a format, and remember its bytes in each form."""
        key = fresh_keys()[key_format]
        if key_format == "jwk":
            self.planted += [key["key_jwk"]["d"].encode(), base64.urlsafe_b64decode(key["key_jwk"]["d"] + "=")]
        else:
            self.planted.append(base64.b64decode(key["key_base64"]))
        return key


def forms(value: bytes) -> Iterator[bytes]:
    """Yield a value's bytes in each form in which programs write them."""
    yield value
    yield value[::-1]
    yield value.hex().encode()
    yield value.hex().upper().encode()
    yield quote_from_bytes(value, safe="").encode()
    yield "".join(f"\\u{byte:04x}" for byte in value).encode()
    yield repr(value)[2:-1].encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for lead in range(3):
            yield encode(bytes(lead) + value)[4 if lead else 0 : -4]
    if value.isascii():
        for width in ("utf-16-le", "utf-16-be", "utf-32-le"):
            yield value.decode().encode(width)


def found(canaries: list[bytes], places: dict[str, bytes]) -> list[tuple[str, bytes]]:
    """Return each place that contains a canary in any form, with that form."""
    by_head: defaultdict[bytes, set[bytes]] = defaultdict(set)
    for canary in canaries:
        for form in forms(canary):
            assert len(form) >= HEAD
            by_head[form[:HEAD]].add(form)
    return [
        (place, form)
        for place, content in places.items()
        for head in heads_in(content, by_head.keys())
        for form in by_head[head]
        if form in content
    ]


def heads_in(content: bytes, heads: AbstractSet[bytes]) -> set[bytes]:
    """Return the prefixes that occur in a content, in one pass."""
    seen: set[bytes] = set()
    for start in range(0, len(content), CHUNK):
        end = min(start + CHUNK, len(content) - HEAD + 1)
        seen |= heads & {content[at : at + HEAD] for at in range(start, end)}
    return seen


def files(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
