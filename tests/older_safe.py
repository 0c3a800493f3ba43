"""Makes a safe one from before the log and the MACs: as an older program left it, or as an attacker forges it."""

import re
from contextlib import closing
from pathlib import Path

from nightsafe.store.sqlite.engine.connection import connect
from nightsafe.store.sqlite.engine.schema import check_own, migrations

TABLES = ("accounts", "users", "memberships", "tokens")
LOG = ("log_head", "log_nodes", "log_groups")
LATER = ("approvals",)
_ADDED = r"(?:\s*--[^\n]*\n)*\s*ALTER TABLE (?P<table>\w+) ADD COLUMN (?P<column>\w+)"


def drop_macs(database: Path) -> None:
    """Give a database that no process has open the schema from before log and MACs, with the same rows."""
    version = next(number for number, step in enumerate(migrations()) if "CREATE TABLE log_head" in step)
    added = [re.match(_ADDED, statement) for step in migrations()[version:] for statement in step.split(";")]
    first_index = re.findall(r"CREATE INDEX versions_by_id.*?;", "".join(migrations()))[0]
    (trigger,) = re.findall(r"CREATE TRIGGER audit_is_never_changed.*?END;", migrations()[0], re.DOTALL)
    with closing(connect(database, 0)) as db:
        db.execute("DROP TRIGGER audit_is_never_changed")
        for match in filter(None, added):
            db.execute(f"ALTER TABLE {match['table']} DROP COLUMN {match['column']}")
        for table in (*LOG, *LATER):
            db.execute(f"DROP TABLE {table}")
        db.execute(trigger)
        db.execute("DROP INDEX versions_by_id")
        db.execute(first_index)
        db.execute(f"PRAGMA user_version = {version}")
        check_own(db)
