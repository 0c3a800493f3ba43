"""Another process with the same store: replaces a token's row."""

import asyncio
import sys
from pathlib import Path

import msgspec

from nightsafe.audit.entry import Deed, entry_for
from nightsafe.store.model import Change, Token
from nightsafe.store.sqlite import SqliteStore


async def put(path: Path, token: Token) -> None:
    """Write the row."""
    store = SqliteStore.open(path)
    deed = Deed(at=0, action="tokens.update", actor="", actor_kind="operator", account_id="")
    await store.commit(Change(at=0, audit=entry_for(deed), put=(token,)))
    await store.close()


if __name__ == "__main__":
    asyncio.run(put(Path(sys.argv[1]), msgspec.json.decode(sys.stdin.buffer.read(), type=Token)))
