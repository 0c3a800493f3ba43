"""The reads of references to a script, in SQL. They search bytes and do not parse members."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from nightsafe.bindings.kinds import SCRIPT_REFERENCES
from nightsafe.store.postgres.engine.reader import Reader
from nightsafe.store.references import MAX_CANDIDATES, CandidateBinding
from nightsafe.store.scripts import ScriptRef

_KINDS: Final = "(" + ", ".join(f"'{kind}'" for kind in sorted(SCRIPT_REFERENCES)) + ")"
_CANDIDATES: Final = f"""
SELECT namespace, script, name, kind, shown, 0::bigint, 0::bigint FROM (
  SELECT namespace, script, name, kind, shown FROM bindings
  WHERE account_id = $1 AND kind IN {_KINDS} AND position($2::bytea in shown) > 0 LIMIT {MAX_CANDIDATES}
) live
"""  # noqa: S608 - our own SQL
_OLDER: Final = f"""
SELECT s.namespace, s.name, h.name, h.kind, h.shown, h.from_version, h.to_version FROM (
  SELECT script_id, name, kind, shown, from_version, to_version FROM binding_history
  WHERE account_id = $1 AND kind IN {_KINDS} AND position($2::bytea in shown) > 0
) h JOIN scripts s ON s.account_id = $1 AND s.id = h.script_id
WHERE s.live_version <> s.version AND EXISTS (
  SELECT 1 FROM versions v WHERE v.account_id = $1 AND v.script_id = s.id
    AND v.number >= h.from_version AND v.number < h.to_version
    AND position(convert_to(encode(v.id, 'hex'), 'UTF8') in (
      SELECT d.served FROM (
        SELECT newest_version AS newest, place, traffic AS served FROM deployments
        WHERE account_id = $1 AND script_id = s.id
        UNION ALL
        SELECT number, 0, convert_to(encode(id, 'hex'), 'UTF8') FROM versions
        WHERE account_id = $1 AND script_id = s.id AND deployment_id <> ''::bytea
      ) d ORDER BY d.newest DESC, d.place DESC LIMIT 1
    )) > 0
) LIMIT {MAX_CANDIDATES}
"""  # noqa: S608 - our own SQL
_SETTINGS: Final = f"""
SELECT namespace, name, script_settings FROM scripts
WHERE account_id = $1 AND position($2::bytea in script_settings) > 0 ORDER BY namespace, name LIMIT {MAX_CANDIDATES}
"""  # noqa: S608 - our own SQL

Query = tuple[str, str, bytes]


def bindings_queries(account_id: str, name: str) -> tuple[Query, Query]:
    """Return the queries of `bindings_mentioning`: for newest versions, and for served older versions."""
    wanted = msgspec.json.encode(name)
    return (_CANDIDATES, account_id, wanted), (_OLDER, account_id, wanted)


def settings_query(account_id: str, name: str) -> Query:
    """Return the query of `settings_mentioning`."""
    return _SETTINGS, account_id, msgspec.json.encode(name)


def candidates_of(account_id: str, *found: Iterable[Sequence[Any]]) -> list[CandidateBinding]:
    """Build bindings from the rows of `bindings_queries`, in a deterministic order."""
    return [
        CandidateBinding(ScriptRef(account_id, script, namespace), *rest)
        for rows in found
        for namespace, script, *rest in sorted(map(tuple, rows))
    ]


def settings_of(account_id: str, rows: Iterable[Sequence[Any]]) -> list[tuple[ScriptRef, bytes]]:
    """Build scripts and their settings from the rows of `settings_query`."""
    return [(ScriptRef(account_id, script, namespace), settings) for namespace, script, settings in rows]


class ReferenceReads:
    """The part of `Store` that reads references to a script."""

    _reader: Reader

    async def bindings_mentioning(self, account_id: str, name: str) -> list[CandidateBinding]:
        """See `Store.bindings_mentioning`."""
        read: Callable[..., Awaitable[list[Any]]] = self._reader.long
        found = [await read(*query) for query in bindings_queries(account_id, name)]
        return candidates_of(account_id, *found)

    async def settings_mentioning(self, account_id: str, name: str) -> list[tuple[ScriptRef, bytes]]:
        """See `Store.settings_mentioning`."""
        return settings_of(account_id, await self._reader.long(*settings_query(account_id, name)))
