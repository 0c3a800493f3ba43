"""Finds the newest deployment of a script that can be served, if the current one cannot."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from nightsafe.store.bundles import Served
from nightsafe.store.interface import Store
from nightsafe.store.scripts import ScriptRef

_PAGE: Final = 20
Refuse: TypeAlias = Callable[[Served], Awaitable[set[bytes]]]


class LastGood:
    """Searches the earlier deployments of a script.

    It uses only the contents of the store, so the result is the same after a restart of any process.

    Args:
        store: holds the deployments.
    """

    def __init__(self, store: Store) -> None:
        self._store: Final = store

    async def of(self, ref: ScriptRef, refuse: Refuse) -> Served | None:
        """Return the newest deployment whose versions can all be served; None if there is none.

        Secrets that were put later are not included: they belong to the versions that cannot be served.

        Args:
            ref: the script.
            refuse: returns the UUIDs of the versions in a deployment that must not be served.
        """
        bad: set[bytes] = set()
        offset = 0
        while page := await self._store.deployments(ref, offset=offset, limit=_PAGE):
            for deployment in page:
                if bad.isdisjoint(version_id for version_id, _ in deployment.versions):
                    served = await self._store.served(ref, deployment.id)
                    refused = await refuse(served)
                    if served.versions and not refused:
                        return served
                    bad |= refused
            offset += _PAGE
        return None
