"""The input and the findings of the doctor's checks."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from nightsafe.cli.data_directory.directory import DataDirectory


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
    """

    data: Path
    thorough: bool
    tls: tuple[Path | None, Path | None, Path | None]

    @property
    def directory(self) -> DataDirectory:
        """The data directory with the names of its files."""
        return DataDirectory(self.data)

    @property
    def is_there(self) -> bool:
        """Whether the directory contains a safe."""
        return self.directory.database.is_file()
