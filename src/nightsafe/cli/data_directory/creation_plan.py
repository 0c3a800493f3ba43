"""The plan of a command that creates a safe in several steps. After an interruption, recovery follows the plan.

The plan is the first file in the command's working folder and moves with that folder. So its place shows the
progress: in a working folder, the new safe is unfinished; in the data directory, the new safe is in place.
"""

import os
from pathlib import Path
from typing import Final, Literal

import msgspec

from nightsafe.sealing import files
from nightsafe.sealing.files import sync

PREFIX: Final = ".nightsafe-unfinished-"
"""The prefix of the names of working folders."""
NAME: Final = "unfinished.json"
_MAX_BYTES: Final = 64 * 1024


class CreationPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The plan of a command.

    Attributes:
        format: format of this file.
        command: name of the command.
        folder: name of the working folder.
        aside: new name of the old safe, or "".
        moving: whether the new safe is complete and its parts are being moved into the data directory.
        old: names of the old parts, which are moved to `aside`.
        new: names of the new parts.
    """

    format: Literal["nightsafe-unfinished/1"] = "nightsafe-unfinished/1"
    command: str
    folder: str = ""
    aside: str = ""
    moving: bool = False
    old: tuple[str, ...] = ()
    new: tuple[str, ...] = ()


def write(folder: Path, plan: CreationPlan) -> None:
    """Write a folder's plan, atomically and durably."""
    files.write(folder / NAME, msgspec.json.encode(plan), private=True, replace=True)


def read(folder: Path) -> CreationPlan | None:
    """Read a folder's plan. Return None if there is no plan or this program does not know its format."""
    try:
        with (folder / NAME).open("rb") as file:
            plan = msgspec.json.decode(file.read(_MAX_BYTES), type=CreationPlan)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    names = (plan.folder, plan.aside, *plan.old, *plan.new)
    return plan if all(name == os.path.basename(name) not in {".", ".."} for name in names) else None  # noqa: PTH119


def drop(folder: Path) -> None:
    """Remove a plan that is done."""
    (folder / NAME).unlink(missing_ok=True)
    sync(folder)
