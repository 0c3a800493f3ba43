"""Lists the version that last set each secret, so that clients can tell whether a secret has changed."""

from nightsafe.services.lookup import find_script
from nightsafe.store.interface import Store
from nightsafe.store.references import SecretVersion
from nightsafe.store.scripts import ScriptRef


class SecretVersions:
    """The use case of secret versions.

    Args:
        store: the store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def list(self, ref: ScriptRef) -> list[SecretVersion]:
        """Return the version that last set each secret, by the secret's name.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        secret_versions = await self._store.secret_versions(ref)
        if not secret_versions:
            await find_script(self._store, ref)
        return secret_versions
