"""All rows of a transaction, in SQL."""

from nightsafe.store.sqlite.writes.collection_rows import CollectionRows
from nightsafe.store.sqlite.writes.history_rows import HistoryRows
from nightsafe.store.sqlite.writes.log_rows import LogRows
from nightsafe.store.sqlite.writes.safe_rows import SafeRows
from nightsafe.store.sqlite.writes.script_rows import ScriptRows


class SqliteRows(ScriptRows, HistoryRows, CollectionRows, SafeRows, LogRows):
    """`Rows` in a transaction.

    Args:
        db: a cursor in the transaction.
    """
