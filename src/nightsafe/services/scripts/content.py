"""The contents of script files, read in slices because a file may have tens of megabytes."""

from collections.abc import AsyncIterator
from typing import Final

from nightsafe.errors import AGAIN, Code, NightsafeError
from nightsafe.store.interface import Store
from nightsafe.store.turns import turn

SLICE: Final = 768 * 1024
"""Bytes in a slice. It is a multiple of three, so the base64 of the slices joined is the base64 of the whole."""

_SMALL: Final = 64 * 1024


class Contents:
    """The use cases of file contents.

    Contents are addressed by their SHA-256, so slices that are read at different times fit together.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def size(self, account_id: str, digest: bytes) -> int | None:
        """Return the size of some contents in bytes; None if no script of the account has them."""
        return await self._store.content_size(account_id, digest)

    async def slices(self, account_id: str, digest: bytes, size: int) -> AsyncIterator[bytes]:
        """Yield contents slice by slice. Hold at most one slice at a time, and nothing between two slices.

        Args:
            account_id: the account.
            digest: SHA-256 of the contents.
            size: their size in bytes.

        Raises:
            NightsafeError: UNAVAILABLE, if the script is deleted in the meantime.
        """
        if size <= _SMALL:
            yield _require_slice(await self._store.content(account_id, digest))
            return
        for start in range(0, size, SLICE):
            await turn()
            yield _require_slice(await self._store.content_part(account_id, digest, start, min(SLICE, size - start)))


def _require_slice(part: bytes | None) -> bytes:
    """Return a slice; refuse if it no longer exists.

    Raises:
        NightsafeError: UNAVAILABLE.
    """
    if part is None:
        raise NightsafeError(Code.UNAVAILABLE, f"the script was deleted while it was read: {AGAIN}")
    return part
