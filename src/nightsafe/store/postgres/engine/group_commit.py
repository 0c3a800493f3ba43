"""Commits a group of changes: with one statement if nothing else is written meanwhile, or else under a lock.

The head of the log is the one row that every commit of every node writes. So its size tells whether anything was
written since something was read. A group whose scripts this node knows costs one round trip: the statement writes all
rows if the log's size is still the one that this node knows. Otherwise a transaction locks the head, reads what the
group needs, and writes; then other nodes wait for as long as that takes.
"""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.sealing.interfaces import NoteSigner
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.postgres.engine.failures import is_of_one_change, refusal_of
from nightsafe.store.postgres.engine.write_batch import Answer, SentCommit, WriteBatch
from nightsafe.store.postgres.writes import tables
from nightsafe.store.postgres.writes.asking import NotRead
from nightsafe.store.postgres.writes.loading import LOCK_HEAD, PROBE, read_head, read_scripts, wanted
from nightsafe.store.postgres.writes.removal import remove_script
from nightsafe.store.postgres.writes.rows import PostgresRows
from nightsafe.store.postgres.writes.script_model import ScriptModels
from nightsafe.store.postgres.writes.statement import Rows, statement
from nightsafe.store.rules.changes import apply
from nightsafe.store.rules.group_log import GroupLog
from nightsafe.store.rules.rows import LogHead

if TYPE_CHECKING:
    from asyncpg import Connection

CHANNEL: Final = "nightsafe"
"""The channel that a commit notifies with the log's new size."""

_SLICE: Final = 8
"""The number of changes to apply before other tasks of the loop run."""

_CALM: Final = 16
"""After another node has written in between, so many groups lock the head at once."""

_LEAVES: Final = "SELECT seq, leaf FROM audit WHERE seq = ANY($1::bigint[])"

_MAX_KNOWN: Final = 2000
"""How many scripts a node remembers between two groups."""


class Known(NamedTuple):
    """The state of the database as this node has left or read it.

    Attributes:
        head: the head of the log.
        retired: the ids of the retired keys.
        models: scripts as they are at this size of the log.
    """

    head: LogHead
    retired: frozenset[str]
    models: ScriptModels


class GroupCommit:
    """Commits groups of changes in a connection.

    Args:
        signer: signs the checkpoints of the log; None for a store that refuses every change.
        key: authenticates scripts; None for a store that was opened without it.
        notifies: whether the database can notify other nodes of a commit.
    """

    def __init__(self, signer: NoteSigner | None, key: IdentityKey | None, *, notifies: bool) -> None:
        self._signer = signer
        self._key = key
        self._channel = CHANNEL if notifies else None
        self._known: Known | None = None
        self._calm = 0

    @property
    def size(self) -> int:
        """The size of the log after the last commit; 0 when it is not known."""
        return 0 if self._known is None else self._known.head.size

    def forget(self) -> None:
        """Forget the state of the database, because an attempt has failed."""
        self._known = None

    async def run(self, db: "Connection", batch: WriteBatch) -> None:
        """Apply the changes, and commit them; the answers are in the batch afterwards.

        Raises:
            Exception: an error of the driver. `batch.sent` tells whether the group may have been committed.
        """
        batch.begin_attempt()
        if batch.sent:
            pass  # only under the lock can it be told which attempt is committed
        elif self._calm:
            self._calm -= 1
        else:
            plain = [change for change in batch.changes if change is not None and is_plain(change)]
            if len(plain) == len(batch.batch):
                if await self._run_without_lock(db, batch, plain):
                    return
                self._calm = _CALM
                batch.begin_attempt()
        await self._run_with_lock(db, batch)

    async def _run_without_lock(self, db: "Connection", batch: WriteBatch, changes: Sequence[Change]) -> bool:
        """Commit with one statement; return False, with nothing written, if that is not possible now."""
        if self._known is None:
            self._known = Known(*await read_head(db), ScriptModels())
        known = self._known
        rows, log = self._begin(known)
        await _read_wanted(db, rows, changes)
        for number, change in enumerate(changes, start=1):
            try:
                batch.answers.append(_apply(rows, log, change))
            except NotRead:
                self._known = None
                return False
            if number % _SLICE == 0:
                await asyncio.sleep(0)
        return await self._write(db, batch, known, rows, log)

    async def _run_with_lock(self, db: "Connection", batch: WriteBatch) -> None:
        """Commit in a transaction that holds the head of the log, unless an earlier attempt is committed.

        The head has another size afterwards. So an earlier attempt that the server gets still later commits nothing.
        """
        await db.execute(LOCK_HEAD)
        if batch.sent and await self._was_committed(db, batch):
            return
        head, retired = await read_head(db)
        models = self._known.models if self._known is not None and self._known.head == head else ScriptModels()
        self._known = Known(head, retired, models)
        rows, log = self._begin(self._known)
        await _read_wanted(db, rows, batch.changes)
        for number, change in enumerate(batch.changes, start=1):
            if change is not None and is_plain(change):
                batch.answers.append(await _apply_plain(db, rows, log, change))
            else:
                await _write(db, rows.take_rows(), head.size)
                batch.answers.append(await _apply_alone(db, rows, log, change, head.size))
                rows.forget_answers()
                rows.retired = (await read_head(db))[1]
            if number % _SLICE == 0:
                await asyncio.sleep(0)
        await self._write(db, batch, self._known, rows, log)
        await db.execute("COMMIT")

    async def _was_committed(self, db: "Connection", batch: WriteBatch) -> bool:
        """Look for the earlier attempts in the log; end the transaction and take the answers of one that is there."""
        found = await find_in_log(db, batch.sent)
        if found is None:
            return False
        await db.execute(PROBE)
        await db.execute("COMMIT")
        self._known, batch.answers = None, found.answers
        return True

    def _begin(self, known: Known) -> tuple[PostgresRows, GroupLog]:
        """Begin a group."""
        return PostgresRows(known.models, known.retired), GroupLog(known.head, self._signer, self._key)

    async def _write(
        self, db: "Connection", batch: WriteBatch, known: Known, rows: PostgresRows, log: GroupLog
    ) -> bool:
        """Write what the group came to; return False if something else was written meanwhile."""
        self._known = None
        log.finish(rows)
        size = known.head.size
        if rows.advance is None:
            return bool(await db.fetchval("SELECT size = $1 FROM log_head", size)) and self._keep(known, rows)
        entries = rows.log[tables.AUDIT.name]
        sql, parameters = statement({**rows.take_rows(), **rows.log}, size, rows.advance, self._channel)
        batch.sending(size + 1, entries[0][3], db.get_server_pid())
        if await db.fetchrow(sql, *parameters) is None:
            batch.was_not_committed()
            return False
        new_size, frontier, _ = rows.advance
        head = known.head._replace(size=new_size, frontier=frontier, newest=new_size)
        return self._keep(known._replace(head=head), rows)

    def _keep(self, known: Known, rows: PostgresRows) -> bool:
        """Remember the state of the database after the group."""
        if len(rows.models.by_key) > _MAX_KNOWN:
            rows.models.clear()
        self._known = Known(known.head, rows.retired, rows.models)
        return True


async def find_in_log(db: "Connection", sent: Sequence[SentCommit]) -> SentCommit | None:
    """Return the attempt that is committed, if one is. The transaction must hold the head of the log."""
    leaves = dict(await db.fetch(_LEAVES, [one.number for one in sent]))
    return next((one for one in sent if leaves.get(one.number) == one.leaf), None)


def is_plain(change: Change) -> bool:
    """Return whether a change writes only rows that are collected over a group."""
    edit = change.edit
    if edit is None or edit.remove or edit.deploy is not None or edit.state is not None:
        return False
    others = (
        change.collection_edit,
        *(change.put, change.drop_tokens, change.drop_refused, change.unchanged, change.reseal, change.older),
        *(change.retire, change.approval, change.ring_number, change.archive),
    )
    return not any(others)


async def _read_wanted(db: "Connection", rows: PostgresRows, changes: Iterable[Change | None]) -> None:
    """Read the scripts that the changes are about, except those that are known."""
    scripts = {
        key: names
        for key, names in wanted(changes).items()
        if key not in rows.models.by_key or not rows.models.by_key[key].has_read(names)
    }
    if scripts:
        for model in await read_scripts(db, scripts, rows.models.by_key):
            rows.models.add(model)


def _apply(rows: PostgresRows, log: GroupLog, change: Change) -> Answer:
    """Apply a change to the rows of the group; a refused change leaves no trace.

    Raises:
        NotRead: when something has to be read first; the change has left no trace.
    """
    log.begin_change()
    rows.begin_change()
    try:
        return apply(rows, change, log)
    except NotRead:
        log.undo_change()
        rows.undo_change()
        raise
    except Exception as error:  # noqa: BLE001 - the rules only compute, so it is about this change alone
        log.undo_change()
        rows.undo_change()
        return error


async def _apply_plain(db: "Connection", rows: PostgresRows, log: GroupLog, change: Change) -> Answer:
    """Apply a change to the rows of the group, and read what it needs."""
    while True:
        try:
            return _apply(rows, log, change)
        except NotRead as missing:
            await _read(db, rows, missing)


async def _apply_reading(db: "Connection", rows: PostgresRows, log: GroupLog, change: Change, size: int) -> Answer:
    """Apply a change whose queries see what it has written before them."""
    while True:
        log.begin_change()
        rows.begin_change()
        try:
            return apply(rows, change, log)
        except NotRead as missing:
            await _read_after_writes(db, rows, missing, size)
        except Exception as error:  # noqa: BLE001 - as in `_apply`
            log.undo_change()
            rows.undo_change()
            return error
        log.undo_change()
        rows.undo_change()


async def _read_after_writes(db: "Connection", rows: PostgresRows, missing: NotRead, size: int) -> None:
    """Read what a change needs, after its writes so far, which are undone: it makes them again."""
    written = rows.written_rows()
    if not (written or rows.statements):
        await _read(db, rows, missing)
        return
    await db.execute("SAVEPOINT look")
    await _execute(db, rows, written, size)
    await _read(db, rows, missing)
    await db.execute("ROLLBACK TO SAVEPOINT look")


async def _apply_alone(
    db: "Connection", rows: PostgresRows, log: GroupLog, change: Change | None, size: int
) -> Answer:
    """Apply a change, and execute its statements at once, within the group's transaction."""
    if change is None:
        await db.execute(PROBE)
        return Outcome()
    for value in (*change.reseal, *change.older):
        sql, parameters = rows.value_query(change.audit.account_id, value.mark, value.before)
        rows.answers[sql, parameters] = await db.fetch(sql, *parameters)
    answer = await _apply_reading(db, rows, log, change, size)
    if isinstance(answer, Exception):
        return answer
    await db.execute("SAVEPOINT change")
    try:
        await _execute(db, rows, rows.written_rows(), size)
        for removed in rows.removed:
            await remove_script(db, *removed)
    except Exception as error:
        if not is_of_one_change(error):
            raise
        await db.execute("ROLLBACK TO SAVEPOINT change")
        log.undo_change()
        rows.undo_change()
        return refusal_of(error)
    await db.execute("RELEASE SAVEPOINT change")
    rows.take_rows()
    return answer


async def _execute(db: "Connection", rows: PostgresRows, written: Rows, size: int) -> None:
    """Execute the statements of a change, and write its other rows."""
    for sql, statements in groupby(rows.statements, itemgetter(0)):
        await db.executemany(sql, [parameters for _, parameters in statements])
    await _write(db, written, size)


async def _write(db: "Connection", rows: Rows, size: int) -> None:
    """Write rows in a transaction that holds the head of the log."""
    if rows:
        sql, parameters = statement(rows, size, None, None)
        await db.execute(sql, *parameters)


async def _read(db: "Connection", rows: PostgresRows, missing: NotRead) -> None:
    """Read what a change needs."""
    if missing.script is not None:
        key, names = missing.script
        for model in await read_scripts(db, {key: names}, rows.models.by_key):
            rows.models.add(model)
    if missing.query is not None:
        sql, parameters = missing.query
        rows.answers[missing.query] = await db.fetch(sql, *parameters)
