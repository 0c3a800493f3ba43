"""Which changes are carried out in the writer's thread, since they would hold the event loop up."""

from typing import Final

from nightsafe.store.model import Change

_MOST_BYTES: Final = 256 * 1024


def is_heavy(change: Change | None) -> bool:
    """Whether a change may take more than a few milliseconds, as far as can be told before.

    A script that is deleted may have any number of versions; to go back to an older version compares secrets all
    through the history; large files are copied page by page.
    """
    edit = None if change is None else change.edit
    if edit is None:
        return False
    large = edit.upload is not None and sum(len(module.body) for module in edit.upload.modules) > _MOST_BYTES
    return large or edit.remove or edit.deploy is not None
