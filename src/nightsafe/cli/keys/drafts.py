"""Removes incomplete key files of interrupted commands. Such a file may hold a private ring."""

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from nightsafe.cli.data_directory.identity_key import PENDING
from nightsafe.cli.terminal.output import notify
from nightsafe.sealing import files

_PLACES: Final = {
    "keys": ("public-ring.json", "signing-key.json", "verify-keys.json", "identity-key.json", PENDING),
    "delivery": ("private-ring.json",),
    ".": ("token",),
}


def sweep(data: Path) -> None:
    """Remove the incomplete key files of a data directory."""
    for folder, names in _PLACES.items():
        sweep_beside(data / folder / name for name in names)


def sweep_beside(paths: Iterable[Path]) -> None:
    """Remove incomplete versions of these files, unless a process is writing them, and print a line for each."""
    for path in paths:
        pattern = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{16}}")
        with suppress(OSError):
            for draft in path.parent.iterdir():
                if pattern.fullmatch(draft.name) and files.remove_draft(draft):
                    notify(f"removed {draft}, which an interrupted command left behind")
