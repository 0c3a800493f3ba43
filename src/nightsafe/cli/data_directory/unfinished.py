"""The written plan of a command that makes something in several steps: who finds it later knows what was meant.

It is the first file in the folder that the command works in, and goes wherever that folder goes. So its place says
what was done: in a folder of its own, the new safe is unfinished; as a file of the data directory, it is there.
"""

import os
from pathlib import Path
from typing import Final, Literal

import msgspec

from nightsafe.sealing import files
from nightsafe.sealing.files import sync

PREFIX: Final = ".nightsafe-unfinished-"
"""What the names of folders that commands work in begin with."""
NAME: Final = "unfinished.json"
_MOST_BYTES: Final = 64 * 1024


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a command is about to do.

    Attributes:
        format: of this file.
        command: which one.
        folder: the name of the folder that it works in.
        aside: the name that what is there gets, or "".
        moving: whether all is made, and the parts are on their way into the data directory.
        old: the names of the parts that are there, which go aside.
        new: the names of the parts that are made.
    """

    format: Literal["nightsafe-unfinished/1"] = "nightsafe-unfinished/1"
    command: str
    folder: str = ""
    aside: str = ""
    moving: bool = False
    old: tuple[str, ...] = ()
    new: tuple[str, ...] = ()


def write(folder: Path, plan: Plan) -> None:
    """Write a folder's plan, whole or not at all, and durably."""
    files.write(folder / NAME, msgspec.json.encode(plan), private=True, replace=True)


def read(folder: Path) -> Plan | None:
    """A folder's plan; None when it has none, or one that this program does not know."""
    try:
        with (folder / NAME).open("rb") as file:
            plan = msgspec.json.decode(file.read(_MOST_BYTES), type=Plan)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    names = (plan.folder, plan.aside, *plan.old, *plan.new)
    return plan if all(name == os.path.basename(name) not in {".", ".."} for name in names) else None  # noqa: PTH119


def drop(folder: Path) -> None:
    """Take a plan away: what it was for is done."""
    (folder / NAME).unlink(missing_ok=True)
    sync(folder)
