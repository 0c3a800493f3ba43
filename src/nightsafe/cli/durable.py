"""Making what was done to files last: a directory that was not synced may be without its new names after a crash."""

import os
from pathlib import Path

from nightsafe.sealing.files import sync


def sync_tree(top: Path) -> None:
    """Make a directory durable with all that is in it, the inner ones first."""
    for folder, _, names in os.walk(top, topdown=False):
        for name in names:
            sync(Path(folder, name))
        sync(Path(folder))


def make_folders(path: Path) -> None:
    """Make a directory and those above it that are not there, durably."""
    missing = [one for one in (path, *path.parents) if not one.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for one in missing:
        sync(one.parent)
