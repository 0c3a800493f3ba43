"""Keeps the nodes of a safe through a restore: a node that was added since stays, and so does a retirement."""

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.safe.database_copy import open_read_only
from nightsafe.errors import NightsafeError
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys


def is_same_safe(old: DataDirectory, new: DataDirectory) -> bool:
    """Return True if two data directories share the key of a node.

    Raises:
        NightsafeError: INVALID, if a file cannot be used.
    """
    ids = [{key.id for key in VerifyKeys.load(directory.verify_keys).keys} for directory in (old, new)]
    return not ids[0].isdisjoint(ids[1])


def keep_nodes(old: DataDirectory, new: DataDirectory) -> None:
    """Carry the nodes of a renamed safe over to its restored backup, and its own signing key if that is in use.

    Args:
        old: the renamed safe.
        new: the restored safe, which no process serves yet.
    """
    try:
        if not is_same_safe(old, new):
            return
        own, before = SigningKey.load(old.signing_key), VerifyKeys.load(old.verify_keys)
    except NightsafeError:
        return  # it cannot be read, so there is nothing to keep
    keys = restored = VerifyKeys.load(new.verify_keys)
    for key in before.keys:
        if key.until is not None:
            keys = keys.retired(key, min(key.until, _log_size(new)))
        elif keys.get(key.id) is None:
            keys = keys.with_key(key)
    if keys.keys != restored.keys:
        keys.save(new.verify_keys, replace=True)
    listed = before.get(own.id)
    if listed is not None and listed.until is None and own.id != SigningKey.load(new.signing_key).id:
        own.save(new.signing_key, replace=True)


def _log_size(directory: DataDirectory) -> int:
    """Return the number of the log's entries; 0 for a database from before the log."""
    with open_read_only(directory.database) as db:
        is_there = db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'log_head'").fetchone()[0]
        row = db.execute("SELECT size FROM log_head").fetchone() if is_there else None
    return 0 if row is None else int(row[0])
