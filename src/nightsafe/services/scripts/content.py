"""The contents of scripts' files, read in slices: a file may have tens of megabytes."""

from collections.abc import AsyncIterator
from typing import Final

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.interface import Store
from nightsafe.store.turns import turn

SLICE: Final = 768 * 1024
"""Bytes of a slice, a multiple of three: base64 of the slices is base64 of the whole."""

_SMALL: Final = 64 * 1024


class Contents:
    """The use cases. Contents go by their SHA-256, so slices that are read at different times fit together."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def size(self, account_id: str, digest: bytes) -> int | None:
        """How many bytes some contents have; None when no script of the account has them."""
        return await self._store.content_size(account_id, digest)

    async def slices(self, account_id: str, digest: bytes, size: int) -> AsyncIterator[bytes]:
        """Some contents, slice by slice; no more than one is held, and nothing is between two of them.

        Args:
            account_id: whose they are.
            digest: their SHA-256.
            size: how many bytes they have.

        Raises:
            NightsafeError: UNAVAILABLE, when their script is deleted meanwhile.
        """
        if size <= _SMALL:
            yield _there(await self._store.content(account_id, digest))
            return
        for start in range(0, size, SLICE):
            await turn()
            yield _there(await self._store.content_part(account_id, digest, start, min(SLICE, size - start)))


def _there(part: bytes | None) -> bytes:
    """A part that is there."""
    if part is None:
        raise NightsafeError(Code.UNAVAILABLE, "the script was deleted while it was read: send the request again")
    return part
