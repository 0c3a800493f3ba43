"""Finds the newest deployment of a script that can be served, if the current one cannot."""

from collections.abc import Sequence
from typing import Final

from nightsafe.bundle.compatibility import problems_of
from nightsafe.services.delivery.bundling import to_bundle_version
from nightsafe.store.bundles import ServedVersion
from nightsafe.store.interface import Store
from nightsafe.store.scripts import Deployment, ScriptRef

_PAGE: Final = 20


class LastGood:
    """Searches the earlier deployments of a script.

    It uses only the contents of the store, so the result is the same after a restart of any process.

    Args:
        store: holds the deployments.
    """

    def __init__(self, store: Store) -> None:
        self._store: Final = store

    async def of(self, ref: ScriptRef) -> tuple[ServedVersion, ...] | None:
        """Return the versions of the newest deployment whose versions can all be served; None if there is none.

        Secrets that were put later are not included: they belong to the versions that cannot be served.
        """
        unservable: set[bytes] = set()
        offset = 0
        while page := await self._store.deployments(ref, offset=offset, limit=_PAGE):
            for deployment in page:
                versions = await self._servable_versions(ref, deployment, unservable)
                if versions is not None:
                    return tuple(versions)
            offset += _PAGE
        return None

    async def _servable_versions(
        self, ref: ScriptRef, deployment: Deployment, unservable: set[bytes]
    ) -> Sequence[ServedVersion] | None:
        """Return the versions of a deployment; None if one cannot be served.

        Args:
            ref: the script.
            deployment: the deployment.
            unservable: IDs of versions that cannot be served; this adds to it.
        """
        versions = []
        for version_id, percentage in deployment.versions:
            if version_id in unservable:
                return None
            version = await self._store.full_version(ref, version_id)
            if version is None or any(problems_of(to_bundle_version(version))):
                unservable.add(version_id)
                return None
            versions.append(_with_share(version, percentage))
        return versions


def _with_share(version: ServedVersion, percentage: float) -> ServedVersion:
    """Return a version with its share of the requests."""
    return ServedVersion(
        version=version.version, percentage=percentage, modules=version.modules, bindings=version.bindings
    )
