"""The tables of the schema that groups of changes write, as set-based statements."""

from typing import Final, NamedTuple


class Table(NamedTuple):
    """Columns of a table with their types.

    Attributes:
        name: the table's name.
        columns: its columns and their types, with a space between.
        keys: how many of the first columns are the primary key.
    """

    name: str
    columns: tuple[str, ...]
    keys: int

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.split()[0] for column in self.columns)

    @property
    def arrays(self) -> tuple[str, ...]:
        """The types of arrays of the columns' values."""
        return tuple(f"{column.split()[1]}[]" for column in self.columns)


_BINDING: Final = (
    "kind text",
    "shown bytea",
    "key_id text",
    "sealed bytea",
    "digest bytea",
    "stated_in bigint",
    "position bigint",
)
SCRIPTS: Final = Table(
    "scripts",
    (
        "account_id text",
        "namespace text",
        "name text",
        "id text",
        "created_on bigint",
        "modified_on bigint",
        "version bigint",
        "upload_version bigint",
        "variables bigint",
        "source text",
        "script_settings bytea",
        "live_version bigint",
        "served_version bigint",
        "deployment_count bigint",
        "triggers bytea",
        "content bytea",
        "mac bytea",
        "triggers_stated_in bigint",
        "triggers_position bigint",
    ),
    3,
)
BINDINGS: Final = Table(
    "bindings",
    ("account_id text", "namespace text", "script text", "name text", "since bigint", *_BINDING),
    4,
)
HISTORY: Final = Table(
    "binding_history",
    ("account_id text", "script_id text", "to_version bigint", "name text", "from_version bigint", *_BINDING),
    4,
)
VERSIONS: Final = Table(
    "versions",
    (
        "account_id text",
        "script_id text",
        "number bigint",
        "id bytea",
        "deployment_id bytea",
        "created_on bigint",
        "upload_version bigint",
        "source text",
        "triggered_by text",
        "author_id text",
        "author_email text",
        "annotations bytea",
        "digest bytea",
        "stated_in bigint",
        "position bigint",
    ),
    3,
)
UPLOADS: Final = Table(
    "uploads",
    (
        "account_id text",
        "script_id text",
        "version bigint",
        "main_module text",
        "etag text",
        "settings bytea",
        "code_version bigint",
    ),
    3,
)
MODULES: Final = Table(
    "modules",
    (
        "account_id text",
        "script_id text",
        "version bigint",
        "position bigint",
        "name text",
        "content_type text",
        "digest bytea",
    ),
    4,
)
CONTENTS: Final = Table("contents", ("account_id text", "digest bytea", "body bytea"), 2)
AUDIT: Final = Table("audit", ("account_id text", "seq bigint", "entry bytea", "leaf bytea"), 2)
NODES: Final = Table("log_nodes", ("level bigint", "number bigint", "hash bytea"), 2)
GROUPS: Final = Table(
    "log_groups",
    ("first bigint", "size bigint", "root bytea", "digests bytea", "signer text", "signature bytea"),
    1,
)
