"""The rights of the role that serves: it changes no table's form, and only adds to the log."""

from typing import Final

_ALL: Final = ("INSERT", "UPDATE", "DELETE")
_NEVER_CHANGED: Final = ("INSERT", "DELETE")
_NEVER_REMOVED: Final = ("INSERT", "UPDATE")
_ONE_ROW: Final = ("UPDATE",)
_APPENDED: Final = ("INSERT",)
RIGHTS: Final[dict[str, tuple[str, ...]]] = {
    "accounts": _NEVER_REMOVED,
    "approvals": _NEVER_CHANGED,
    "audit": _APPENDED,
    "binding_history": _ALL,
    "bindings": _ALL,
    "collections": _ALL,
    "contents": _NEVER_CHANGED,
    "deployments": _ALL,
    "items": _ALL,
    "log_groups": _APPENDED,
    "log_head": _ONE_ROW,
    "log_nodes": _APPENDED,
    "memberships": _NEVER_REMOVED,
    "modules": _NEVER_CHANGED,
    "probe": _ONE_ROW,
    "removals": _NEVER_CHANGED,
    "retired_keys": _APPENDED,
    "ring": _ONE_ROW,
    "schema_version": (),
    "scripts": _ALL,
    "tokens": _ALL,
    "uploads": _NEVER_CHANGED,
    "users": _NEVER_REMOVED,
    "versions": _ALL,
}
"""For each table, the rights of the serving role, in addition to SELECT."""


def grants(role: str, database: str, schema: str = "public") -> str:
    """Return the SQL that gives a role the rights to serve, and takes all others on the tables.

    Args:
        role: the name of the role.
        database: the name of the database.
        schema: the schema that has the tables.
    """
    who, where = _quoted(role), _quoted(schema)
    lines = [
        f"GRANT CONNECT ON DATABASE {_quoted(database)} TO {who};",
        f"GRANT USAGE ON SCHEMA {where} TO {who};",
        f"REVOKE CREATE ON SCHEMA {where} FROM PUBLIC, {who};",
        f"REVOKE ALL ON ALL TABLES IN SCHEMA {where} FROM {who};",
    ]
    for right in ("SELECT", *_ALL):
        tables = (f"{where}.{table}" for table, rights in RIGHTS.items() if right == "SELECT" or right in rights)
        lines.append(f"GRANT {right} ON {', '.join(tables)} TO {who};")
    return "\n".join(lines)


def _quoted(name: str) -> str:
    """Return a name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'
