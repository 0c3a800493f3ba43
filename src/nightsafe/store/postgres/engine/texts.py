"""Stores texts with U+0000, which PostgreSQL's type `text` does not take: names of bindings may have it.

U+0000 is stored as U+0001 U+0001, and U+0001 as U+0001 U+0002. So no two texts are stored alike, and stored texts
sort like the texts. The driver does this for each text that it sends and receives, but not for the texts in an array
that it sends.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from asyncpg import Connection

_ESCAPED: Final = re.compile(rb"\x01[\x01\x02]")


async def store_every_text(db: "Connection") -> None:
    """Let a connection encode and decode texts so."""
    await db.set_type_codec("text", schema="pg_catalog", encoder=encode, decoder=decode, format="binary")


def columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """Return the columns of some rows as arrays to send."""
    return [
        [escape(value) for value in column] if any(isinstance(value, str) for value in column) else [*column]
        for column in zip(*rows, strict=True)
    ]


def escape(value: Any) -> Any:
    """Return a text as it is stored; return any other value as it is."""
    if isinstance(value, str) and ("\x00" in value or "\x01" in value):
        return value.replace("\x01", "\x01\x02").replace("\x00", "\x01\x01")
    return value


def encode(text: str) -> bytes:
    """Return the bytes of a stored text. Raise UnicodeEncodeError if it has a surrogate."""
    return bytes(escape(text).encode())


def decode(data: bytes) -> str:
    """Return a stored text."""
    if b"\x01" in data:
        data = _ESCAPED.sub(lambda found: b"\x00" if found[0] == b"\x01\x01" else b"\x01", data)
    return data.decode()
