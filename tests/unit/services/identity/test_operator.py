"""What an operator does to tokens while a server does something to them too."""

import asyncio
from pathlib import Path

import pytest

from nightsafe.errors import Code, NightsafeError
from nightsafe.services.identity.administration import create_account
from nightsafe.services.identity.operator import every_token, revoke_token, roll_token
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.sqlite import SqliteStore

ACCOUNT = "023e105f4ecef8ad9ca31a8372d0c353"


def test_a_token_that_is_revoked_meanwhile_stays_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rolling it is refused, and makes it anew under no value."""

    async def work() -> None:
        """Revoke between what rolling reads and what it writes."""
        store = SqliteStore.open(tmp_path / "store.db", create=True)
        await create_account(store, ACCOUNT, "an account", "owner@example.com")
        [token] = await every_token(store)
        commit = store.commit

        async def late(change: Change) -> Outcome:
            """Be too late."""
            monkeypatch.setattr(store, "commit", commit)
            await revoke_token(store, token.id)
            return await commit(change)

        monkeypatch.setattr(store, "commit", late)
        try:
            with pytest.raises(NightsafeError) as raised:
                await roll_token(store, token.id)
            assert raised.value.code == Code.UNAVAILABLE
            assert list(await every_token(store)) == []
        finally:
            await store.close()

    asyncio.run(work())
