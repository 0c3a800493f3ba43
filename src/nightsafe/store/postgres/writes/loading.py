"""Reads the scripts that a group of changes is about, with a statement for all of them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from nightsafe.store.changes import Change
from nightsafe.store.postgres.engine.texts import columns
from nightsafe.store.postgres.writes.script_model import BindingModel, ScriptModel, UploadRow
from nightsafe.store.rules.rows import LogHead
from nightsafe.store.rules.script_head import Head, Key, key_of

if TYPE_CHECKING:
    from asyncpg import Connection

Names = frozenset[str] | None
"""The names of the bindings to read; None for all of them."""

LOCK_HEAD: Final = "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT 1 FROM log_head WHERE id = 1 FOR UPDATE"
"""Begins a transaction that holds the head of the log, so that no other node writes until it ends."""

PROBE: Final = "UPDATE probe SET count = count + 1"
_HEAD: Final = """
SELECT origin, size, frontier, (SELECT coalesce(max(seq), 0) FROM audit), (SELECT array_agg(id) FROM retired_keys)
FROM log_head
"""
_SCRIPTS: Final = """
SELECT k.account_id, k.namespace, k.name, s.id, s.version, s.upload_version, s.variables, s.live_version,
  s.served_version, s.deployment_count, s.source, s.content, s.mac, s.triggers, s.triggers_stated_in,
  s.triggers_position, s.script_settings, s.created_on, s.modified_on,
  u.version, u.main_module, u.etag, u.settings, u.code_version, (
    SELECT string_agg(b.digest, ''::bytea) FROM bindings b
    WHERE b.account_id = s.account_id AND b.namespace = s.namespace AND b.script = s.name
  )
FROM unnest($1::text[], $2::text[], $3::text[]) AS k(account_id, namespace, name)
JOIN scripts s ON s.account_id = k.account_id AND s.namespace = k.namespace AND s.name = k.name
LEFT JOIN uploads u ON u.account_id = s.account_id AND u.script_id = s.id AND u.version = s.upload_version
"""
_COLUMNS: Final = """
SELECT b.account_id, b.namespace, b.script, b.name, b.kind, b.shown, b.key_id, b.sealed IS NOT NULL, b.digest, b.since
"""
_ALL_BINDINGS: Final = f"""
{_COLUMNS} FROM unnest($1::text[], $2::text[], $3::text[]) AS k(account_id, namespace, name)
JOIN bindings b ON b.account_id = k.account_id AND b.namespace = k.namespace AND b.script = k.name
"""
_BINDINGS: Final = f"""
{_COLUMNS} FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS k(account_id, namespace, script, name)
JOIN bindings b ON b.account_id = k.account_id AND b.namespace = k.namespace AND b.script = k.script
  AND b.name = k.name
"""
_HASH_SIZE: Final = 32


def wanted(changes: Iterable[Change | None]) -> dict[Key, Names]:
    """Return the scripts that changes read, with the names of the bindings that they read."""
    scripts: dict[Key, Names] = {}
    for change in changes:
        for key, names in () if change is None else _wanted(change):
            before = scripts.get(key, frozenset())
            scripts[key] = None if names is None or before is None else before | names
    return scripts


def _wanted(change: Change) -> Iterator[tuple[Key, Names]]:
    """Yield the scripts of one change."""
    edit = change.edit
    if edit is None:
        return
    for need in edit.needs:
        yield key_of(need.script), frozenset()
    updates = (edit.bindings_update, edit.upload, edit.settings)
    reads_all = edit.list_secrets or any(update is not None for update in updates)
    yield key_of(edit.ref), None if reads_all else frozenset((*(new.name for new in edit.set), *edit.drop))


async def read_head(db: "Connection") -> tuple[LogHead, frozenset[str]]:
    """Read the head of the log, and the ids of the retired keys."""
    *head, retired = await db.fetchrow(_HEAD)
    return LogHead(*head), frozenset(retired or ())


async def read_scripts(
    db: "Connection", scripts: Mapping[Key, Names], known: Mapping[Key, ScriptModel]
) -> list[ScriptModel]:
    """Read scripts with their bindings. All bindings are read of a script that is absent, where none should be.

    Args:
        db: the connection.
        scripts: the scripts, with the names of the bindings to read.
        known: the scripts that were read before, as the group sees them; their further bindings are read.
    """
    models = {key: known[key].copy() if key in known else ScriptModel(key) for key in scripts}
    unknown = [key for key in scripts if key not in known]
    if unknown:
        for row in await db.fetch(_SCRIPTS, *columns(unknown)):
            _fill(models[row[0], row[1], row[2]], row)
    whole = [key for key, names in scripts.items() if names is None or not models[key].head.version]
    if whole:
        rows = await db.fetch(_ALL_BINDINGS, *columns(whole))
        _add_bindings(models, rows)
        for key in whole:
            models[key].is_complete = True
    named = [(*key, name) for key, names in scripts.items() if key not in whole and names for name in names]
    if named:
        for account_id, namespace, script, name in named:
            models[account_id, namespace, script].bindings.setdefault(name, None)
        _add_bindings(models, await db.fetch(_BINDINGS, *columns(named)))
    return [*models.values()]


def _fill(model: ScriptModel, row: Any) -> None:
    """Fill a script from its row."""
    model.head = Head(*row[3:12])
    model.mac, model.triggers, stated_in, position, model.script_settings = row[12:17]
    model.triggers_place = (stated_in, position)
    model.created_on, model.modified_on = row[17:19]
    model.upload = UploadRow(*row[19:24]) if row[19] is not None else UploadRow()
    joined = row[24] or b""
    model.digests = [joined[start : start + _HASH_SIZE] for start in range(0, len(joined), _HASH_SIZE)]


def _add_bindings(models: Mapping[Key, ScriptModel], rows: Iterable[Any]) -> None:
    """Add bindings to their scripts, except those that the group has read or written before."""
    for account_id, namespace, script, name, kind, shown, key_id, secret, digest, since in rows:
        model = models[account_id, namespace, script]
        if name in model.stored_names:
            continue
        model.stored_names.add(name)
        if model.bindings.get(name) is None:
            model.bindings[name] = BindingModel(model.key, name, kind, shown, key_id, secret, digest, since)
