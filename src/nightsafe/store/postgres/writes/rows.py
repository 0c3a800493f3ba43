"""All rows of a transaction, as a group of changes sees and writes them."""

from nightsafe.store.postgres.writes.collection_rows import CollectionRows
from nightsafe.store.postgres.writes.history_rows import HistoryRows
from nightsafe.store.postgres.writes.log_rows import LogRows
from nightsafe.store.postgres.writes.safe_rows import SafeRows
from nightsafe.store.postgres.writes.script_model import ScriptModels
from nightsafe.store.postgres.writes.script_rows import ScriptRows


class PostgresRows(ScriptRows, HistoryRows, CollectionRows, SafeRows, LogRows):
    """`Rows` for a group of changes.

    Nothing is written while the rules run. Scripts with their bindings and versions are collected over the group, and
    written by one statement. What other changes write is in `statements`, for the writer to execute.
    """

    def __init__(self, models: ScriptModels, retired: frozenset[str]) -> None:
        """Begin a group with the scripts that are known; `retired` has the ids of the retired keys."""
        ScriptRows.__init__(self, models)
        LogRows.__init__(self)
        self.retired = retired

    def begin_change(self) -> None:
        """Begin another change."""
        self.begin_scripts()
        self.begin_log()
        self.statements, self.altered = [], {}

    def undo_change(self) -> None:
        """Forget what the change has written."""
        self.undo_scripts()
        self.undo_log()
        self.statements, self.removed, self.altered = [], [], {}

    def forget_answers(self) -> None:
        """Forget what was read, after a change that may have altered it."""
        self.answers.clear()
        self.altered.clear()
        self.models.clear()
