"""A script for another process with the same store: it replaces a token's row."""

import asyncio
import sys
from pathlib import Path

import msgspec

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.store.changes import Change
from nightsafe.store.identities import Token
from nightsafe.store.sqlite import SqliteStore


async def put(path: Path, token: Token) -> None:
    """Write the row."""
    store = SqliteStore.open(path)
    event = AuditEvent(at=0, action="tokens.update", actor="", actor_kind="operator", account_id="")
    await store.commit(Change(at=0, audit=entry_for(event), put=(token,)))
    await store.close()


if __name__ == "__main__":
    asyncio.run(put(Path(sys.argv[1]), msgspec.json.decode(sys.stdin.buffer.read(), type=Token)))
