"""Reads of a script's history, in parts, because it may be long."""

from collections.abc import AsyncIterator
from typing import Final

from nightsafe.store.built_rows import BindingsOfVersions, deployment_of
from nightsafe.store.rules.script_head import key_of
from nightsafe.store.scripts import ALWAYS, Binding, Deployment, Period, Script, ScriptRef
from nightsafe.store.sqlite.engine.reader import Reader
from nightsafe.store.sqlite.reads.rows import HEAD, OF_VERSIONS, WITHOUT_NEW_VERSION
from nightsafe.store.turns import page_of, turn

_PART: Final = 500
_BEFORE_FIRST: Final = (2**62, 0)
_LIVE = """
SELECT name, kind, shown, sealed, key_id, since FROM bindings
WHERE account_id = ? AND namespace = ? AND script = ? AND since <= ?
"""
_HISTORY = f"""
SELECT to_version, name, from_version, rowid FROM binding_history
WHERE account_id = ? AND script_id = ? AND (to_version, name) > (?, ?)
ORDER BY to_version, name LIMIT {_PART}
"""  # noqa: S608  # our own number
_HISTORY_ROW = "SELECT name, kind, shown, sealed, key_id FROM binding_history WHERE rowid = ? AND name = ?"
_POSITIONS = """
SELECT number AS newest, 0 AS place, created_on FROM versions
WHERE account_id = ? AND script_id = ? AND number < ? AND deployment_id <> x''
UNION ALL
SELECT newest_version, place, created_on FROM deployments
WHERE account_id = ? AND script_id = ? AND (newest_version, place) < (?, ?)
ORDER BY newest DESC, place DESC LIMIT ?
"""
_DEPLOYMENTS = f"""
{OF_VERSIONS} AND number BETWEEN ? AND ? UNION ALL
{WITHOUT_NEW_VERSION} AND (newest_version, place) BETWEEN (?, ?) AND (?, ?)
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
        head = self._head(ref)
        if head is None:
            return {}
        versions = range(max(first, 1), min(last, head[1]) + 1)
        if not versions:
            return {}
        bindings = BindingsOfVersions(versions)
        for *columns, since in self._reader.all(_LIVE, (*key_of(ref), last)):
            bindings.add(Binding(*columns), since)
        async for to, name, since, row in self._history_rows(ref.account_id, head[0], versions.start):
            if since < versions.stop and (columns := self._reader.one(_HISTORY_ROW, (row, name))) is not None:
                bindings.add(Binding(*columns), since, to)
        return bindings.by_version()

    async def deployments(
        self, ref: ScriptRef, *, offset: int = 0, limit: int = 100, period: Period = ALWAYS
    ) -> list[Deployment]:
        """See `Store.deployments`."""
        head = self._head(ref)
        if head is None:
            return []
        positions = self._positions(ref.account_id, head[0], period, min(offset + limit, _PART))
        selected = await page_of(positions, offset, limit)
        if not selected:
            return []
        newest, oldest = selected[0], selected[-1]
        script_key = (ref.account_id, head[0])
        bounds = (*script_key, oldest[0], newest[0], *script_key, *oldest, *newest)
        rows = {(row[-2], row[-1]): row for row in self._reader.all(_DEPLOYMENTS, bounds)}
        return [deployment_of(rows[position]) for position in selected if position in rows]

    async def last_deployed(self, script: Script) -> int | None:
        """See `Store.last_deployed`."""
        script_key = (script.ref.account_id, script.id)
        row = self._reader.one(_POSITIONS, (*script_key, _BEFORE_FIRST[0], *script_key, *_BEFORE_FIRST, 1))
        return None if row is None else int(row[2])

    async def count_deployments_in(self, ref: ScriptRef, period: Period) -> int:
        """Count the deployments of a script in a period."""
        head = self._head(ref)
        count = 0
        if head is not None:
            async for positions in self._positions(ref.account_id, head[0], period):
                count += len(positions)
        return count

    async def _history_rows(
        self, account_id: str, script_id: str, version: int
    ) -> AsyncIterator[tuple[int, str, int, int]]:
        """Yield history rows that ended after a version: the version that ended it, name, first version, row id."""
        after: tuple[int, str] = (version + 1, "")
        while rows := self._reader.all(_HISTORY, (account_id, script_id, *after)):
            for row in rows:
                yield row
            if len(rows) < _PART:
                return
            after = rows[-1][:2]
            await turn()

    async def _positions(
        self, account_id: str, script_id: str, period: Period, part: int = _PART
    ) -> AsyncIterator[list[DeploymentPosition]]:
        """Yield the places of a period's deployments, newest first, examining `part` rows at a time."""
        newest, position = _BEFORE_FIRST
        script_key = (account_id, script_id)
        while rows := self._reader.all(
            _POSITIONS, (*script_key, newest + (position > 0), *script_key, newest, position, part)
        ):
            yield [(row[0], row[1]) for row in rows if period.since <= row[2] <= period.until]
            if len(rows) < part:
                return
            newest, position = rows[-1][:2]
            await turn()

    def _head(self, ref: ScriptRef) -> tuple[str, int] | None:
        """Return a script's id and newest version number."""
        row: tuple[str, int] | None = self._reader.one(HEAD, key_of(ref))
        return row
