"""Reads in parts: the result is the same as of one read, and other tasks on the loop get turns."""

import asyncio
import os

from tests.engines.tools.changes import ACCOUNT, REF, change, dropping, removing, secret, setting, upload
from tests.engines.tools.stored import modules_of
from tests.event_loop_turns import turns_during

from nightsafe.store.identities import Token
from nightsafe.store.interface import Store
from nightsafe.store.scripts import Period, ScriptRef
from nightsafe.store.turns import PART

_SCRIPTS = 5 * PART + 7
_VERSIONS = 1203
"""More than two parts of a history."""


async def test_scripts_are_listed_in_parts(store: Store) -> None:
    """Scripts are listed by name, once each, from any name on, while other tasks get turns."""
    names = sorted(f"s{number}" for number in range(_SCRIPTS))
    await asyncio.gather(*(store.commit(upload(ref=ScriptRef(ACCOUNT, name))) for name in names))

    assert names == [script.ref.name for script in await store.scripts(ACCOUNT)]
    assert names[7:17] == [script.ref.name for script in await store.scripts_after(ACCOUNT, "", names[6], 10)]
    assert [] == await store.scripts_after(ACCOUNT, "", names[-1])
    assert [] == await store.scripts_after(ACCOUNT, "elsewhere", "")
    assert await turns_during(store.scripts(ACCOUNT)) >= _SCRIPTS // PART


async def test_tokens_are_listed_in_parts(store: Store) -> None:
    """Tokens of an account and of a user are listed oldest first, while other tasks get turns."""
    count = 4 * PART + 3

    def token(number: int, account_id: str) -> Token:
        """Return one of several tokens of the same time."""
        return Token(
            id=f"{account_id[:1]}{count - number:05}",
            digest=os.urandom(32),
            user_id=f"u{number % 2}" if account_id else "u",
            name="t",
            status="active",
            policies=b"[]",
            issued_on=number // 3,
            modified_on=1,
            account_id=account_id,
        )

    for owner in ("", ACCOUNT):
        await store.commit(change(None, *(token(number, owner) for number in range(count))))
    for found in (await store.tokens_of_user("u"), await store.tokens_of_account(ACCOUNT)):
        assert count == len({found_token.id for found_token in found})
        assert found == sorted(found, key=lambda one: (one.issued_on, one.id))
    assert await turns_during(store.tokens_of_account(ACCOUNT)) >= count // PART


async def test_contents_are_read_in_parts(store: Store) -> None:
    """Files of any size are read byte for byte in slices of any length; absent contents return None."""
    bodies = (os.urandom(1_500_000), b"small")
    await store.commit(upload(bodies=bodies))
    files = await store.files(REF)

    assert [*map(len, bodies)] == [file.size for file in files]
    assert [*bodies] == [module.body for module in await modules_of(store, REF)]
    for body, file in zip(bodies, files, strict=True):
        starts = range(0, file.size, 400_000)
        parts = [
            await store.content_part(ACCOUNT, file.digest, start, min(400_000, file.size - start)) for start in starts
        ]
        assert body == b"".join(part for part in parts if part is not None)
        assert file.size == await store.content_size(ACCOUNT, file.digest)
    assert await store.content_part(ACCOUNT, b"x" * 32, 0, 1) is None
    assert await store.content_size(ACCOUNT, b"x" * 32) is None
    assert await turns_during(store.content_part(ACCOUNT, files[0].digest, 0, 400_000)) >= 1


async def test_pages_of_a_long_history_equal_the_full_list(store: Store) -> None:
    """Versions, bindings and deployments of any page are the same as in the full list."""
    await store.commit(upload())
    for start in range(2, _VERSIONS + 1, 400):
        numbers = range(start, min(start + 400, _VERSIONS + 1))
        changes = [setting(secret(f"S{number % 3}", sealed=b"%d" % number)) for number in numbers]
        changes = [dropping("S1", require=False) if number % 100 == 0 else new
                   for number, new in zip(numbers, changes, strict=True)]  # fmt: skip
        await asyncio.gather(*(store.commit(new) for new in changes))
    script = await store.script(REF)
    assert script is not None
    newest = script.version

    versions = await store.versions(REF, limit=5000)
    deployments = await store.deployments(REF, limit=5000)
    assert [*range(newest, 0, -1)] == [version.number for version in versions]
    assert versions[700:710] == await store.versions(REF, offset=700, limit=10)
    assert [] == await store.versions(REF, offset=newest, limit=10)
    assert len(deployments) == newest == await store.count_deployments(REF)
    assert deployments[700:710] == await store.deployments(REF, offset=700, limit=10)
    assert deployments[-3:] == await store.deployments(REF, offset=newest - 3, limit=10)
    since = deployments[600].created_on
    within = [deployment for deployment in deployments if deployment.created_on >= since]
    assert len(within) == await store.count_deployments(REF, Period(since=since))
    assert within[5:9] == await store.deployments(REF, offset=5, limit=4, period=Period(since=since))
    assert deployments[0].created_on == await store.last_deployed(script)

    for first in (1, 2, 99, newest - 20):
        page = await store.bindings_of(REF, first, first + 10)
        assert {number: await store.bindings(REF, number) for number in range(first, first + 11)} == page
    assert {} == await store.bindings_of(REF, newest + 1, newest + 5)
    values = [binding.sealed for binding in await store.bindings(REF, 50) if binding.name == "S2"]
    assert [b"50"] == values
    assert await turns_during(store.bindings_of(REF, 1, 10)) >= 2
    assert await turns_during(store.deployments(REF, offset=newest - 1)) >= 2


async def test_reads_during_a_long_deletion_see_all_or_nothing(store: Store) -> None:
    """During a deletion other tasks get turns, and reads return all of the script or nothing."""
    await store.commit(upload())
    await asyncio.gather(*(store.commit(setting(secret("S", sealed=b"%d" % number))) for number in range(600)))
    seen = set[int]()

    async def count_versions() -> None:
        """Record how many versions there are."""
        while True:
            seen.add(len(await store.versions(REF, limit=5000)))
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count_versions())
    await asyncio.sleep(0)
    assert await turns_during(store.commit(removing())) > 1
    counting.cancel()

    assert seen <= {601, 0}
    assert await store.script(REF) is None
