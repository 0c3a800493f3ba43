"""Reads of a script's history, in parts, because it may be long."""

from collections.abc import AsyncIterator
from typing import Final

from nightsafe.store.period import ALWAYS, Period
from nightsafe.store.scripts import Binding, Deployment, Script, ScriptRef
from nightsafe.store.sqlite.engine.reader import Reader
from nightsafe.store.sqlite.reads.rows import HEAD, OF_VERSIONS, WITHOUT_NEW_VERSION, deployment_of, key_of
from nightsafe.store.turns import turn

_PART: Final = 500
_BEFORE_ALL: Final = (2**62, 0)
_LIVE = """
SELECT name, kind, shown, sealed, key_id, since FROM bindings
WHERE account_id = ? AND namespace = ? AND script = ? AND since <= ?
"""
_PAST = f"""
SELECT to_version, name, from_version, rowid FROM binding_history
WHERE account_id = ? AND script_id = ? AND (to_version, name) > (?, ?)
ORDER BY to_version, name LIMIT {_PART}
"""  # noqa: S608  # our own number
_PAST_ROW = "SELECT name, kind, shown, sealed, key_id FROM binding_history WHERE rowid = ? AND name = ?"
_PLACES = """
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

Place = tuple[int, int]
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
        found: dict[int, dict[str, Binding]] = {number: {} for number in versions}
        for *columns, since in self._reader.all(_LIVE, (*key_of(ref), last)):
            live = Binding(*columns)
            for number in range(max(since, versions.start), versions.stop):
                found[number][live.name] = live
        async for to, name, since, row in self._past(ref.account_id, head[0], versions.start):
            if since < versions.stop and (columns := self._reader.one(_PAST_ROW, (row, name))) is not None:
                past = Binding(*columns)
                for number in range(max(since, versions.start), min(to, versions.stop)):
                    found[number].setdefault(name, past)
        return {
            number: [bindings_by_name[name] for name in sorted(bindings_by_name)]
            for number, bindings_by_name in found.items()
        }

    async def deployments(
        self, ref: ScriptRef, *, offset: int = 0, limit: int = 100, period: Period = ALWAYS
    ) -> list[Deployment]:
        """See `Store.deployments`."""
        head = self._head(ref)
        if head is None:
            return []
        wanted: list[Place] = []
        async for places in self._places(ref.account_id, head[0], period, min(offset + limit, _PART)):
            wanted += places[offset : offset + limit - len(wanted)]
            offset = max(0, offset - len(places))
            if len(wanted) == limit:
                break
        if not wanted:
            return []
        newest, oldest = wanted[0], wanted[-1]
        within = (ref.account_id, head[0])
        bounds = (*within, oldest[0], newest[0], *within, *oldest, *newest)
        rows = {(row[-2], row[-1]): row for row in self._reader.all(_DEPLOYMENTS, bounds)}
        return [deployment_of(rows[place]) for place in wanted if place in rows]

    async def last_deployed(self, script: Script) -> int | None:
        """See `Store.last_deployed`."""
        within = (script.ref.account_id, script.id)
        row = self._reader.one(_PLACES, (*within, _BEFORE_ALL[0], *within, *_BEFORE_ALL, 1))
        return None if row is None else int(row[2])

    async def count_within(self, ref: ScriptRef, period: Period) -> int:
        """Count the deployments of a script in a period."""
        head = self._head(ref)
        count = 0
        if head is not None:
            async for places in self._places(ref.account_id, head[0], period):
                count += len(places)
        return count

    async def _past(self, account_id: str, script_id: str, version: int) -> AsyncIterator[tuple[int, str, int, int]]:
        """Yield history rows that ended after a version: the version that ended it, name, first version, row id."""
        after: tuple[int, str] = (version + 1, "")
        while rows := self._reader.all(_PAST, (account_id, script_id, *after)):
            for row in rows:
                yield row
            if len(rows) < _PART:
                return
            after = rows[-1][:2]
            await turn()

    async def _places(
        self, account_id: str, script_id: str, period: Period, part: int = _PART
    ) -> AsyncIterator[list[Place]]:
        """Yield the places of a period's deployments, newest first, examining `part` rows at a time."""
        newest, place = _BEFORE_ALL
        within = (account_id, script_id)
        while rows := self._reader.all(_PLACES, (*within, newest + (place > 0), *within, newest, place, part)):
            yield [(row[0], row[1]) for row in rows if period.since <= row[2] <= period.until]
            if len(rows) < part:
                return
            newest, place = rows[-1][:2]
            await turn()

    def _head(self, ref: ScriptRef) -> tuple[str, int] | None:
        """Return a script's id and newest version number."""
        row: tuple[str, int] | None = self._reader.one(HEAD, key_of(ref))
        return row
