"""What an examination of a safe is given, and what it finds."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from nightsafe.cli.data_directory.directory import DataDirectory


class State(StrEnum):
    """How it stands."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        state: how it stands.
        what: was looked at.
        found: how it was.
        advice: what to do, or "".
    """

    state: State
    what: str
    found: str
    advice: str = ""

    def as_json(self) -> dict[str, str]:
        """For programs."""
        return {"state": str(self.state), "what": self.what, "found": self.found, "advice": self.advice}


@dataclass(frozen=True)
class Examined:
    """A safe, and how it is to be looked at.

    Attributes:
        data: its directory.
        thorough: whether to take the time for everything.
        tls: files of certificate, key and clients' issuer, as `serve` takes them.
    """

    data: Path
    thorough: bool
    tls: tuple[Path | None, Path | None, Path | None]

    @property
    def directory(self) -> DataDirectory:
        """The names of its files."""
        return DataDirectory(self.data)

    @property
    def is_there(self) -> bool:
        """Whether there is a safe at all."""
        return self.directory.database.is_file()
