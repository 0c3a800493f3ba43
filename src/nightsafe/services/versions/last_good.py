"""The newest deployment of a script that can be served, when the one that is meant to be cannot."""

from collections.abc import Sequence
from typing import Final

from nightsafe.bundle.compatibility import problems_of
from nightsafe.services.delivery.bundling import bundled
from nightsafe.store.bundles import ServedVersion
from nightsafe.store.interface import Store
from nightsafe.store.scripts import Deployment, ScriptRef

_PAGE: Final = 20


class LastGood:
    """Looks back through the deployments of a script.

    It goes by what the store has, so that it is the same after a restart of any process. What was found is remembered
    as that alone: deployments do not change, and a newer one that can be served is looked for before.

    Args:
        store: where they are.
    """

    def __init__(self, store: Store) -> None:
        self._store: Final = store

    async def of(self, ref: ScriptRef) -> tuple[ServedVersion, ...] | None:
        """What the newest deployment serves all of whose versions can be served; None without one.

        Secrets that were put since are none of it: they belong to the versions that cannot be served.
        """
        bad: set[bytes] = set()
        offset = 0
        while page := await self._store.deployments(ref, offset=offset, limit=_PAGE):
            for deployment in page:
                found = await self._whole(ref, deployment, bad)
                if found is not None:
                    return tuple(found)
            offset += _PAGE
        return None

    async def _whole(self, ref: ScriptRef, deployment: Deployment, bad: set[bytes]) -> Sequence[ServedVersion] | None:
        """The versions of a deployment; None when one cannot be served, which is added to those that cannot."""
        versions = []
        for version_id, percentage in deployment.versions:
            if version_id in bad:
                return None
            made = await self._store.made_of(ref, version_id)
            if made is None or any(problems_of(bundled(made))):
                bad.add(version_id)
                return None
            versions.append(_with_share(made, percentage))
        return versions


def _with_share(made: ServedVersion, percentage: float) -> ServedVersion:
    """A version with its share of the requests."""
    return ServedVersion(version=made.version, percentage=percentage, modules=made.modules, bindings=made.bindings)
