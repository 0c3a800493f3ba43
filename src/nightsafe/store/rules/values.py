"""The rules of a key rotation: which values get another record, and which keys accept values."""

from collections.abc import Iterator

from nightsafe.errors import AGAIN, Code, NightsafeError
from nightsafe.sealing.proven_record import put_digest
from nightsafe.store.changes import Change
from nightsafe.store.log.written import Subject, row_digest
from nightsafe.store.rules.group_log import GroupLog
from nightsafe.store.rules.rows import Rows
from nightsafe.store.sealed_values import Resealed, Retirement


def refuse_retired(rows: Rows, change: Change) -> None:
    """Refuse values that are sealed to a retired key, which only a client with an old ring does.

    Raises:
        NightsafeError: UNAVAILABLE, when a value is sealed to a retired key.
    """
    for key_id in {*_key_ids_of(change)}:
        if rows.is_retired(key_id):
            raise NightsafeError(
                Code.UNAVAILABLE,
                f"the value is sealed to the key {key_id}, which no longer accepts new values: {AGAIN}, or"
                " seal the value to the ring's primary key",
            )


def reseal(rows: Rows, log: GroupLog, account_id: str, values: tuple[Resealed, ...]) -> tuple[str, ...]:
    """Replace records that are still as they were read, and return the marks of the replaced ones."""
    return tuple(value.mark for value in values if _reseal(rows, log, account_id, value))


def state_values(rows: Rows, log: GroupLog, account_id: str, values: tuple[Resealed, ...]) -> int:
    """State values whose records of the first form are still as they were read; return their number.

    Raises:
        NightsafeError: CANNOT_OPEN, when the log is as old as the safe, so that it has no older records.
    """
    if not log.states_older_rows:
        raise NightsafeError(
            Code.CANNOT_OPEN,
            "every value of this safe is in the log: something else has put older records into the database. If you"
            " know that they are as they should be, run: nightsafe migrate",
        )
    return len(reseal(rows, log, account_id, values))


def retire(rows: Rows, log: GroupLog, retirement: Retirement, at: int) -> None:
    """Retire a key, so that it accepts no new values.

    Raises:
        NightsafeError: KEY_IN_USE, when values are sealed to the key and the retirement does not allow it.
    """
    if not retirement.in_use and rows.is_key_in_use(retirement.key_id):
        raise NightsafeError(Code.KEY_IN_USE, retirement.key_id)
    if rows.retire_key(retirement.key_id, at):
        log.written.rows.append((f"retired/{retirement.key_id}", row_digest("Retired", retirement.key_id, at)))


def _key_ids_of(change: Change) -> Iterator[str]:
    """Yield the keys that the change's values are sealed to."""
    if change.edit is not None:
        yield from (binding.key_id for binding in change.edit.set if binding.key_id is not None)
    if change.collection_edit is not None:
        yield from (item.key_id for item in change.collection_edit.put if item.key_id is not None)
    yield from (value.key_id for value in change.reseal)


def _reseal(rows: Rows, log: GroupLog, account_id: str, value: Resealed) -> bool:
    """Replace one record; return False if another record is there now."""
    stored = rows.stored_value(account_id, value.mark, value.before)
    if stored is None:
        return False
    since, owned = stored
    place = log.state(Subject.RESEALED, put_digest(value.digest, since), owned)
    rows.reseal(account_id, value.mark, value.sealed, value.key_id, place)
    return True
