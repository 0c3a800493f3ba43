"""The reads of what may lead to a script, in SQL."""

from typing import Final

import msgspec

from nightsafe.store.lookups import Pointer
from nightsafe.store.model import ScriptRef
from nightsafe.store.sqlite.reader import Reader

_KINDS: Final = "('dispatch_namespace', 'durable_object_namespace', 'service', 'workflow')"
"""As the indexes of migration 0007 have it, word for word: else they could not be used."""

_LIVE: Final = f"""
SELECT namespace, script, name, kind, shown FROM bindings INDEXED BY bindings_of_scripts
WHERE account_id = ? AND kind IN {_KINDS} AND instr(shown, ?) > 0
"""  # noqa: S608  # our own SQL
_OLDER: Final = f"""
SELECT s.namespace, s.name, h.name, h.kind, h.shown, h.from_version, h.to_version FROM binding_history h
INDEXED BY binding_history_of_scripts JOIN scripts s ON s.account_id = h.account_id AND s.id = h.script_id
WHERE h.account_id = ? AND h.kind IN {_KINDS} AND instr(h.shown, ?) > 0 AND s.live_version <> s.version
"""  # noqa: S608  # our own SQL
_SETTINGS: Final = """
SELECT namespace, name, script_settings FROM scripts
WHERE account_id = ? AND instr(script_settings, ?) > 0 ORDER BY namespace, name
"""


class PointingReads:
    """What `Store` promises of reads of what may lead to a script. Each looks at the bytes and knows no member."""

    _reader: Reader

    async def pointing(self, account_id: str, name: str) -> list[Pointer]:
        """See `Store.pointing`."""
        wanted = (account_id, msgspec.json.encode(name))
        live = [
            Pointer(ScriptRef(account_id, script, namespace), *rest)
            for namespace, script, *rest in sorted(self._reader.all(_LIVE, wanted))
        ]
        older = [
            Pointer(ScriptRef(account_id, script, namespace), *rest)
            for namespace, script, *rest in sorted(self._reader.all(_OLDER, wanted))
        ]
        return live + older

    async def settings_naming(self, account_id: str, name: str) -> list[tuple[ScriptRef, bytes]]:
        """See `Store.settings_naming`."""
        rows = self._reader.all(_SETTINGS, (account_id, msgspec.json.encode(name)))
        return [(ScriptRef(account_id, script, namespace), settings) for namespace, script, settings in rows]
