"""Reads of a script's history, in parts, because it may be long."""

from collections.abc import AsyncIterator
from typing import Final

from nightsafe.store.built_rows import BindingsOfVersions, deployment_of
from nightsafe.store.postgres.engine.reader import Reader
from nightsafe.store.postgres.reads.rows import HEAD, OF_VERSIONS, WITHOUT_NEW_VERSION
from nightsafe.store.rules.script_head import key_of
from nightsafe.store.scripts import ALWAYS, Binding, Deployment, Period, Script, ScriptRef
from nightsafe.store.turns import page_of, turn

_PART: Final = 500
_BEFORE_FIRST: Final = (2**62, 0)
_LIVE: Final = """
SELECT name, kind, shown, sealed, key_id, since FROM bindings
WHERE account_id = $1 AND namespace = $2 AND script = $3 AND since <= $4
  AND EXISTS (SELECT 1 FROM scripts WHERE account_id = $1 AND namespace = $2 AND name = $3 AND id = $5)
"""
_HISTORY: Final = f"""
SELECT to_version, name, from_version, CASE WHEN from_version <= $5 THEN kind END,
  CASE WHEN from_version <= $5 THEN shown END, CASE WHEN from_version <= $5 THEN sealed END,
  CASE WHEN from_version <= $5 THEN key_id END
FROM binding_history
WHERE account_id = $1 AND script_id = $2 AND (to_version, name) > ($3, $4)
ORDER BY to_version, name LIMIT {_PART}
"""  # noqa: S608 - our own number
_POSITIONS: Final = """
SELECT number AS newest, 0::bigint AS place, created_on FROM versions
WHERE account_id = $1 AND script_id = $2 AND number < $3 AND deployment_id <> ''::bytea
UNION ALL
SELECT newest_version, place, created_on FROM deployments
WHERE account_id = $1 AND script_id = $2 AND (newest_version, place) < ($4, $5)
ORDER BY newest DESC, place DESC LIMIT $6
"""
_DEPLOYMENTS: Final = f"""
{OF_VERSIONS} AND number BETWEEN $3 AND $5 UNION ALL
{WITHOUT_NEW_VERSION} AND (newest_version, place) >= ($3, $4) AND (newest_version, place) <= ($5, $6)
ORDER BY newest DESC, place DESC
"""

DeploymentPosition = tuple[int, int]
"""A deployment's position in its script: the newest version at the time, and its number among later deployments."""


class HistoryReads:
    """The part of `Store` that reads the bindings of versions, and deployments."""

    _reader: Reader

    async def bindings_of(self, ref: ScriptRef, first: int, last: int) -> dict[int, list[Binding]]:
        """See `Store.bindings_of`.

        Live rows are read before history rows. So a row that moves to the history meanwhile is seen twice, but never
        missed.
        """
        head = await self._head(ref)
        if head is None:
            return {}
        versions = range(max(first, 1), min(last, head[1]) + 1)
        if not versions:
            return {}
        bindings = BindingsOfVersions(versions)
        for *columns, since in await self._reader.all(_LIVE, *key_of(ref), last, head[0]):
            bindings.add(Binding(*columns), since)
        async for to, since, old in self._history_rows(ref.account_id, head[0], versions):
            bindings.add(old, since, to)
        return bindings.by_version()

    async def deployments(
        self, ref: ScriptRef, *, offset: int = 0, limit: int = 100, period: Period = ALWAYS
    ) -> list[Deployment]:
        """See `Store.deployments`."""
        head = await self._head(ref)
        if head is None:
            return []
        positions = self._positions(ref.account_id, head[0], period, min(offset + limit, _PART))
        selected = await page_of(positions, offset, limit)
        if not selected:
            return []
        newest, oldest = selected[0], selected[-1]
        found = await self._reader.all(_DEPLOYMENTS, ref.account_id, head[0], *oldest, *newest)
        rows = {(row[-2], row[-1]): row for row in found}
        return [deployment_of(rows[position]) for position in selected if position in rows]

    async def last_deployed(self, script: Script) -> int | None:
        """See `Store.last_deployed`."""
        key = (script.ref.account_id, script.id)
        row = await self._reader.one(_POSITIONS, *key, _BEFORE_FIRST[0], *_BEFORE_FIRST, 1)
        return None if row is None else int(row[2])

    async def count_deployments_in(self, ref: ScriptRef, period: Period) -> int:
        """Count the deployments of a script in a period."""
        head = await self._head(ref)
        count = 0
        if head is not None:
            async for positions in self._positions(ref.account_id, head[0], period):
                count += len(positions)
        return count

    async def _history_rows(
        self, account_id: str, script_id: str, versions: range
    ) -> AsyncIterator[tuple[int, int, Binding]]:
        """Yield the history rows of some versions: the version that ended it, its first version, and the binding."""
        after: tuple[int, str] = (versions.start + 1, "")
        while rows := await self._reader.all(_HISTORY, account_id, script_id, *after, versions.stop - 1):
            for to, name, since, kind, shown, sealed, key_id in rows:
                if kind is not None:
                    yield to, since, Binding(name, kind, shown, sealed, key_id)
            if len(rows) < _PART:
                return
            after = (rows[-1][0], rows[-1][1])
            await turn()

    async def _positions(
        self, account_id: str, script_id: str, period: Period, part: int = _PART
    ) -> AsyncIterator[list[DeploymentPosition]]:
        """Yield the places of a period's deployments, newest first, examining `part` rows at a time."""
        newest, position = _BEFORE_FIRST
        while rows := await self._reader.all(
            _POSITIONS, account_id, script_id, newest + (position > 0), newest, position, part
        ):
            yield [(row[0], row[1]) for row in rows if period.since <= row[2] <= period.until]
            if len(rows) < part:
                return
            newest, position = rows[-1][0], rows[-1][1]
            await turn()

    async def _head(self, ref: ScriptRef) -> tuple[str, int] | None:
        """Return a script's id and newest version number."""
        row = await self._reader.one(HEAD, *key_of(ref))
        return None if row is None else (row[0], row[1])
