"""Reads a script's files from a store as the service does: first the names, then each file's content."""

from nightsafe.store.interface import Store
from nightsafe.store.scripts import Module, ScriptRef


async def modules_of(store: Store, ref: ScriptRef, version: int | None = None) -> list[Module]:
    """Return the files that a version runs (default: the newest), in the order they were uploaded."""
    found = []
    for file in await store.files(ref, version):
        body = await store.content(ref.account_id, file.digest)
        assert body is not None
        found.append(Module(file.name, file.content_type, file.digest, body))
    return found
