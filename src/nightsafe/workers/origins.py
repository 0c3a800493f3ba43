"""Where the secrets of a script came from, for whoever is to tell whether they are still what was put."""

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.interfaces import Store
from nightsafe.store.lookups import Origin
from nightsafe.store.model import ScriptRef


class Origins:
    """The use case.

    Args:
        store: where everything is kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def list(self, ref: ScriptRef) -> list[Origin]:
        """The version that set each secret, by the secret's name.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        origins = await self._store.origins(ref)
        if not origins and await self._store.script(ref) is None:
            raise NightsafeError(Code.SCRIPT_NOT_FOUND)
        return origins
