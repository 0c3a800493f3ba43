"""Lists the version that last set each secret, so that clients can tell whether a secret has changed."""

from nightsafe.errors import Code, NightsafeError
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
        if not secret_versions and await self._store.script(ref) is None:
            raise NightsafeError(Code.SCRIPT_NOT_FOUND)
        return secret_versions
