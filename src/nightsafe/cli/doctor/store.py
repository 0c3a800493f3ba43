"""Checks the data directory, its database, and the API tokens in it that expire soon."""

import fcntl
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from nightsafe.cli.data_directory.creation_plan import NAME
from nightsafe.cli.data_directory.directory import DATABASE
from nightsafe.cli.data_directory.identity_key import PENDING
from nightsafe.cli.data_directory.lock import lock_directory, unlock
from nightsafe.cli.data_directory.recovery import resolve_links, unfinished_paths
from nightsafe.cli.data_directory.store_address import STORE_URL
from nightsafe.cli.doctor.examination import Examination, Finding, State
from nightsafe.cli.safe.database_copy import counts, integrity_problems, newest_schema, open_read_only, schema_of
from nightsafe.cli.settings.server_address import KEPT_TOKEN
from nightsafe.cli.store.migration import schema_words
from nightsafe.errors import NightsafeError
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.store.sqlite.engine.schema import check_own
from nightsafe.store.sqlite.identity_macs import has_mac_column, refused_rows

_LARGE_LOG: Final = 512 * 1024 * 1024
_SECOND: Final = 1_000_000
_DAY: Final = 24 * 60 * 60 * _SECOND
_SOON_DAYS: Final = 14
_MOST_ROWS: Final = 20
_ACCEPT: Final = "nightsafe token refused-rows --accept"
_WAY_OUT: Final = (
    "restore a backup; or delete it and issue the credential again: nightsafe token refused-rows --delete; "
    f"or, if you know the row, accept it: {_ACCEPT}"
)
_EXPIRING: Final = """
SELECT name, id, expires_on FROM tokens
WHERE status = 'active' AND expires_on BETWEEN ? AND ? ORDER BY expires_on, id
"""


def directory(safe: Examination) -> Iterator[Finding]:
    """Check that the directory exists and only its owner can access it."""
    if not safe.directory.is_safe:
        yield Finding(
            State.FAILED, "data directory", f"there is no safe in {safe.data}", "create one: nightsafe init"
        )
        return
    yield from _modes([safe.data, safe.directory.public_ring.parent], 0o700)
    private = [
        safe.data / DATABASE,
        safe.data / STORE_URL,
        safe.directory.signing_key,
        safe.directory.identity_key,
        safe.directory.private_ring,
        safe.data / KEPT_TOKEN,
    ]
    log_files = [safe.data / f"{DATABASE}{end}" for end in ("-wal", "-shm")]
    yield from _modes([path for path in (*private, *log_files) if path.exists()], 0o600)


def unfinished(safe: Examination) -> Iterator[Finding]:
    """Look for the work of interrupted commands and of running ones."""
    place = resolve_links(safe.data)
    for path in unfinished_paths(place):
        lock = lock_directory(place if path.name == NAME else path, fcntl.LOCK_SH)
        if lock is None:
            yield Finding(State.WARNING, "unfinished", f"{path}: a command is working in it", "wait until it is done")
            continue
        unlock(lock)
        advice = "any command on the data directory cleans it up, for example: nightsafe token list"
        yield Finding(State.WARNING, "unfinished", f"{path}: left behind by an interrupted command", advice)


def database(safe: Examination) -> Iterator[Finding]:
    """Check that the database is sound and that this program knows its schema."""
    if not safe.is_there:
        return
    path = safe.database
    with open_read_only(path) as db:
        problems = integrity_problems(db, thorough=safe.thorough)
        if problems:
            advice = "restore a backup: nightsafe restore FILE --force"
            yield Finding(State.FAILED, "database", f"the database is damaged: {problems[0]}", advice)
            return
        foreign = _foreign(db)
        if foreign:
            yield Finding(State.FAILED, "database", foreign, "serving refuses it")
            return
        schema, newest, row_counts = schema_of(db), newest_schema(), counts(db)
    yield Finding(State.OK, "database", ", ".join(f"{number} {what}" for what, number in row_counts.items()))
    if safe.address is None:  # else these are the rows of a snapshot, and `postgresql` names the schema
        yield _schema(schema, newest)
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size > _LARGE_LOG:
        found = f"{log.stat().st_size >> 20} MiB"
        yield Finding(
            State.WARNING, "write-ahead log", found, "end the process that reads the database in one long transaction"
        )


def tokens(safe: Examination) -> Iterator[Finding]:
    """Check that no token expires within two weeks or has expired in the last two weeks.

    Without a renewal, the users of such a token are suddenly refused.
    """
    if not safe.is_there:
        return
    now = int(time.time() * _SECOND)
    with open_read_only(safe.database) as db:
        expiring = db.execute(_EXPIRING, (now - _SOON_DAYS * _DAY, now + _SOON_DAYS * _DAY)).fetchall()
    for name, token_id, expires_on in expiring:
        days = abs(expires_on - now) // _DAY
        found = f"{name} ({token_id}) {'has expired' if expires_on < now else f'expires in {days} days'}"
        advice = "if it is still needed, create a new one: nightsafe token create"
        yield Finding(State.WARNING, "tokens", found, advice)
    if not expiring:
        yield Finding(State.OK, "tokens", f"no token expires within {_SOON_DAYS} days")


def identities(safe: Examination) -> Iterator[Finding]:
    """Check that every token, user, membership and account has the MAC that the identity key makes."""
    if not safe.is_there:
        return
    path, listing = safe.directory.identity_key, "see all of them: nightsafe token refused-rows"
    with open_read_only(safe.database) as db:
        if not has_mac_column(db):
            found = "the database has no MACs of tokens and users"
            added = (State.WARNING, "`nightsafe serve` adds them")
            state, advice = (State.FAILED, listing) if path.exists() else added
            yield Finding(state, "identities", found, advice)
            return
        if not path.exists() and path.with_name(PENDING).exists():
            advice = "any command on the data directory finishes it, for example: nightsafe token list"
            yield Finding(State.WARNING, "identities", "the migration to MACs was interrupted", advice)
            return
        if not path.exists():
            advice = f"copy it from a backup, or look at every row and accept it: {_ACCEPT}"
            yield Finding(State.FAILED, "identities", f"{path} is missing: no token or user counts", advice)
            return
        key = IdentityKey.load(path)
        refused = refused_rows(db, key)
    for row in refused[:_MOST_ROWS]:
        found = f"{row.name} of {row.table} was not written by Nightsafe, and does not count"
        yield Finding(State.FAILED, "identities", found, _WAY_OUT)
    if len(refused) > _MOST_ROWS:
        yield Finding(State.FAILED, "identities", f"{len(refused) - _MOST_ROWS} more rows do not count", listing)
    if not refused:
        yield Finding(State.OK, "identities", f"every row has its MAC under the key {key.id}")


def _schema(schema: int, newest: int) -> Finding:
    """Check that this program knows the schema."""
    found = schema_words("SQLite", schema, newest)
    if schema > newest:
        found += f", and this program supports up to {newest}"
        return Finding(State.FAILED, "schema", found, "use a newer program")
    if schema < newest:
        return Finding(State.WARNING, "schema", found, "`nightsafe serve` upgrades it")
    return Finding(State.OK, "schema", found)


def _foreign(db: sqlite3.Connection) -> str:
    """Return a message about database objects that are missing or foreign; "" if the schema is as expected."""
    if schema_of(db) > newest_schema():
        return ""
    try:
        check_own(db)
    except NightsafeError as error:
        return error.problems[0].detail
    return ""


def _modes(paths: list[Path], mode: int) -> Iterator[Finding]:
    """Check that other users have no rights on these files."""
    sound = True
    for path in paths:
        status = path.stat()
        if stat.S_IMODE(status.st_mode) & 0o077:
            sound = False
            found = f"{path} has mode {stat.S_IMODE(status.st_mode):04o}"
            yield Finding(State.FAILED, "file modes", found, f"run: chmod {mode:04o} {path}")
        if status.st_uid not in {os.geteuid(), 0}:
            sound = False
            advice = "run this as the user that serves, or give that user the file"
            yield Finding(State.FAILED, "file owner", f"{path} belongs to user {status.st_uid}", advice)
    if sound:
        yield Finding(State.OK, "file modes", f"{len(paths)} with mode {mode:04o}")
