"""The entries that `list`, `show` and `watch` print, and where they come from."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from nightsafe.audit.entry import AuditEvent
from nightsafe.cli.terminal.output import say
from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.checkpoint import read_note
from nightsafe.store.interface import Store

_SLICE: Final = 500
_POLL_SECONDS: Final = 1.0
_event_decoder = msgspec.json.Decoder(AuditEvent)
_decoder = msgspec.json.Decoder(dict[str, Any])


class ShownEntry(Struct, frozen=True):
    """An entry to show.

    Attributes:
        index: its index in the log.
        fields: its members.
    """

    index: int
    fields: dict[str, Any]


class EntrySource(Protocol):
    """Provides the entries of the log, for example from a store or from a server's API."""

    async def size(self) -> int:
        """Return the number of entries."""
        ...

    async def first(self) -> int:
        """Return the index of the first entry that is not archived; the size without one."""
        ...

    async def entries(self, start: int, count: int) -> list[ShownEntry]:
        """Return consecutive entries from the index `start` on. Archived ones are left out."""
        ...

    async def wait(self) -> None:
        """Return when there may be new entries."""
        ...


class StoreEntries:
    """The entries of a data directory's store.

    Args:
        store: the store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: object = None

    async def size(self) -> int:
        """See `EntrySource.size`. A log that is just upgraded has no checkpoint until its first change."""
        self._seen = self._store.generation()
        note = await self._store.checkpoint()
        if note:
            return read_note(note).size
        size = 0
        while found := len(await self._store.log_hashes(0, size, _SLICE)):
            size += found
        return size

    async def first(self) -> int:
        """See `EntrySource.first`."""
        found = await self._store.audit_entries_of_all_accounts(0, 1)
        return found[0][0] - 1 if found else await self.size()

    async def entries(self, start: int, count: int) -> list[ShownEntry]:
        """See `EntrySource.entries`."""
        found = []
        for index, entry in enumerate(await self._store.log_entries(start, count), start=start):
            if entry.is_intact:
                found.append(shown(index, entry.entry))
            elif entry.entry:
                say(f"entry {index} is left out, because its text was changed; run: nightsafe audit verify")
        return found

    async def wait(self) -> None:
        """See `EntrySource.wait`. Commits of a running server are noticed within a second."""
        before = self._seen
        while self._store.generation() == before:
            await self._store.changed(before, _POLL_SECONDS)


def shown(index: int, entry: bytes) -> ShownEntry:
    """Return an entry to show.

    Raises:
        NightsafeError: STORE, when the bytes are not an entry.
    """
    try:
        _event_decoder.decode(entry)  # only to refuse members of other types
        return ShownEntry(index, _decoder.decode(entry))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise NightsafeError(
            Code.STORE, f"entry {index} is not one that this program writes: run `nightsafe audit verify`"
        ) from None


def archived_words(count: int) -> str:
    """Return how many entries are archived, in words."""
    return f"the entries 0 to {count - 1} are archived" if count > 1 else "entry 0 is archived"


async def newest_first(source: EntrySource) -> AsyncIterator[ShownEntry]:
    """Yield the entries, the newest first."""
    end, first = await source.size(), await source.first()
    while end > first:
        start = max(first, end - _SLICE)
        for entry in reversed(await source.entries(start, end - start)):
            yield entry
        end = start
        await asyncio.sleep(0)


async def following(source: EntrySource, start: int) -> AsyncIterator[ShownEntry]:
    """Yield the entries from an index on, and then each new one, without an end."""
    while True:
        end, start = await source.size(), max(start, await source.first())
        while start < end:
            for entry in await source.entries(start, min(_SLICE, end - start)):
                yield entry
                start = entry.index + 1
        await source.wait()
