"""Changes of tokens by an operator while a server changes them too."""

import asyncio
from pathlib import Path

import pytest
from tests.stores import open_store

from nightsafe.errors import Code, NightsafeError
from nightsafe.services.identity.administration import create_account
from nightsafe.services.identity.operator import all_tokens, revoke_token, roll_token
from nightsafe.store.changes import Change, Outcome

ACCOUNT = "023e105f4ecef8ad9ca31a8372d0c353"


def test_rolling_does_not_restore_a_revoked_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rolling a token is refused if it is revoked meanwhile, and does not restore the token."""

    async def work() -> None:
        """Revoke the token between the read and the write of a roll."""
        store = open_store(tmp_path / "store.db")
        await create_account(store, ACCOUNT, "an account", "owner@example.com")
        [token] = await all_tokens(store)
        commit = store.commit

        async def commit_too_late(change: Change) -> Outcome:
            """Revoke the token before the commit."""
            monkeypatch.setattr(store, "commit", commit)
            await revoke_token(store, token.id)
            return await commit(change)

        monkeypatch.setattr(store, "commit", commit_too_late)
        try:
            with pytest.raises(NightsafeError) as raised:
                await roll_token(store, token.id)
            assert raised.value.code == Code.UNAVAILABLE
            assert list(await all_tokens(store)) == []
        finally:
            await store.close()

    asyncio.run(work())
