"""Helpers for tests that a change is refused."""

from tests.engines.tools.stored import modules_of

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.changes import Change
from nightsafe.store.interface import Store
from nightsafe.store.scripts import ScriptRef


async def refusal(store: Store, change: Change) -> list[tuple[Code, str]]:
    """Return the problems that a commit is refused with; an empty list if it is accepted."""
    try:
        await store.commit(change)
    except NightsafeError as error:
        return [(problem.code, problem.detail) for problem in error.problems]
    return []


async def state(store: Store, ref: ScriptRef) -> object:
    """Return everything that a refused change must not alter."""
    return (
        await store.script(ref),
        await store.bindings(ref),
        await store.versions(ref, limit=1_000_000),
        await store.deployments(ref, limit=1_000_000),
        await store.count_deployments(ref),
        await modules_of(store, ref),
        await store.audit_entries(ref.account_id, limit=1_000_000),
        await store.accounts(),
    )
