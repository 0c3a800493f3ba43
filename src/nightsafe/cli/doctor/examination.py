"""The input and the findings of the doctor's checks."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nightsafe.cli.data_directory.directory import DATABASE, DataDirectory
from nightsafe.cli.safe.database_copy import newest_schema, open_read_only, schema_of

if TYPE_CHECKING:
    from nightsafe.store.postgres.engine.address import Address


class State(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


class Finding(NamedTuple):
    """One finding of a check.

    Attributes:
        state: the result.
        what: the thing that was checked.
        found: its state, in words.
        advice: the suggested fix, or "".
    """

    state: State
    what: str
    found: str
    advice: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the finding as a JSON object."""
        return {"state": str(self.state), "what": self.what, "found": self.found, "advice": self.advice}


@dataclass(frozen=True)
class Examination:
    """A safe to check, and the options of the checks.

    Attributes:
        data: the data directory.
        thorough: whether to run slow checks too.
        tls: files of the certificate, its key and the clients' CA, as for `serve`.
        address: the address of the PostgreSQL database that has the rows, or None.
        snapshot: a SQLite file with a snapshot of them, or None.
    """

    data: Path
    thorough: bool
    tls: tuple[Path | None, Path | None, Path | None]
    address: "Address | None" = None
    snapshot: Path | None = None

    @property
    def directory(self) -> DataDirectory:
        """The data directory with the names of its files."""
        return DataDirectory(self.data)

    @property
    def database(self) -> Path:
        """The SQLite file with the rows, or with a snapshot of them."""
        return self.snapshot or self.data / DATABASE

    @property
    def is_there(self) -> bool:
        """Whether there are rows to check."""
        return self.database.is_file()

    @contextmanager
    def current_database(self) -> Iterator[sqlite3.Connection | None]:
        """Open the database to read it; None if there is none, or if it has another schema than this program's.

        Raises:
            CommandError: if the file is not a database or cannot be read.
        """
        if not self.is_there:
            yield None
            return
        with open_read_only(self.database) as db:
            yield db if schema_of(db) == newest_schema() else None
