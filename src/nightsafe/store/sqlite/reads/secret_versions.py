"""The read of the version that last set each secret of a script, in SQL."""

from nightsafe.store.references import SecretVersion
from nightsafe.store.scripts import ScriptRef
from nightsafe.store.sqlite.engine.reader import Reader

_ORIGINS = """
SELECT b.name, v.id, v.annotations, v.created_on, v.author_email, v.source
FROM scripts s
JOIN bindings b ON b.account_id = s.account_id AND b.namespace = s.namespace AND b.script = s.name
JOIN versions v ON v.account_id = s.account_id AND v.script_id = s.id AND v.number = b.since
WHERE s.account_id = ? AND s.namespace = ? AND s.name = ? AND b.sealed IS NOT NULL
ORDER BY b.name
"""


class SecretVersionReads:
    """The part of `Store` that reads the origin of secrets."""

    _reader: Reader

    async def secret_versions(self, ref: ScriptRef) -> list[SecretVersion]:
        """See `Store.secret_versions`."""
        rows = self._reader.all(_ORIGINS, (ref.account_id, ref.namespace, ref.name))
        return [SecretVersion(*row) for row in rows]
