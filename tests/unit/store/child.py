"""A second process on the test's store: `commit` once, or `write` without end, printing acknowledgements."""

import asyncio
import sys
from itertools import count
from pathlib import Path

from tests.engines.tools.changes import REF, secret, setting

from nightsafe.store.sqlite import SqliteStore
from nightsafe.store.sqlite import store as store_module


async def commit(store: SqliteStore, name: str) -> None:
    """Set one secret."""
    await store.commit(setting(secret(name)))
    await store.close()


async def write(store: SqliteStore, prefix: str) -> None:
    """Set secrets from sixteen tasks; print a line for each acknowledged commit at once."""
    numbers = count()

    async def caller() -> None:
        """Set secrets without end, as one caller."""
        for number in numbers:
            name = f"{prefix}{number % 50}"
            outcome = await store.commit(setting(secret(name), most=10_000))
            print(outcome.version, name, flush=True)  # noqa: T201  # the test reads it
            await store.secret(REF, name)

    await asyncio.gather(*(caller() for _ in range(16)))


async def main(what: str, path: str, name: str) -> None:
    """Run `commit` or `write`."""
    store_module.LOG_LIMIT = 50
    store = SqliteStore.open(Path(path))
    await (commit if what == "commit" else write)(store, name)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
