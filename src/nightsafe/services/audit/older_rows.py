"""Brings a safe over that is older than its transparency log: states what was written before."""

from collections.abc import AsyncIterator

from nightsafe.services.caller import older_rows_change
from nightsafe.store.bundles import Served
from nightsafe.store.collections import Kind
from nightsafe.store.interface import Store
from nightsafe.store.scripts import ScriptRef


def is_stated(served: Served) -> bool:
    """Return True if a deployment, its versions and the triggers all have statements."""
    deployment = served.deployment
    own = (served.triggers_proof, b"" if deployment is None else deployment.proof)
    return all(own) and all(version.proof for version in served.versions)


async def state_served(store: Store, ref: ScriptRef, served: Served) -> Served:
    """Return a script's deployment with its statements. Rows that are older than the log are stated first.

    Raises:
        NightsafeError: CANNOT_OPEN, if the safe has no older rows, so that somebody has changed the database.
    """
    if served.deployment is None or is_stated(served):
        return served
    await store.commit(older_rows_change(ref, served.deployment.id))
    return await store.served(ref, served.deployment.id)


async def state_script(store: Store, ref: ScriptRef) -> int:
    """State everything of a script that is older than the log, and return how many statements that took."""
    statements = made = (await store.commit(older_rows_change(ref, b""))).stated
    while made:
        made = (await store.commit(older_rows_change(ref, b""))).stated
        statements += made
    return statements


async def every_script(store: Store) -> AsyncIterator[ScriptRef]:
    """Yield every script of every account, in every dispatch namespace."""
    for account in await store.accounts():
        namespaces = await store.collections(account.id, Kind.DISPATCH_NAMESPACE)
        for namespace in ("", *(found.name for found in namespaces)):
            for script in await store.scripts(account.id, namespace):
                yield script.ref


async def count_scripts(store: Store) -> tuple[int, int]:
    """Return how many scripts there are, and how many of them serve something that is older than the log."""
    total = older = 0
    async for ref in every_script(store):
        served = await store.served(ref)
        total += 1
        older += served.deployment is not None and not is_stated(served)
    return total, older
