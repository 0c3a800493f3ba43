"""What a script is run with: the compatibility date and the flags that the runtime is given for it."""

import datetime as dt
from typing import Final, Self

from msgspec import Struct

from nightsafe.bundle.compatibility import DEFAULT_DATE, IMPORTABLE_ENV
from nightsafe.bundle.model import BundleVersion
from nightsafe.bundle.runtime_flags import NEWEST_DATE

_EVAL: Final = "allow_eval_during_startup"
_NO_EVAL: Final = "disallow_eval_during_startup"

_URL_MODULES: Final = "new_module_registry"
_PATH_MODULES: Final = "legacy_module_registry"
_URL_MODULES_SINCE: Final = "2026-11-17"


class Compatibility(Struct, frozen=True):
    """A date and flags.

    Attributes:
        date: as YYYY-MM-DD.
        flags: by name.
    """

    date: str
    flags: tuple[str, ...]

    @classmethod
    def of(cls, version: BundleVersion, today: dt.date | None = None) -> Self:
        """What a version is run with.

        Args:
            version: which one.
            today: in UTC; for tests.
        """
        flags = version.compatibility_flags
        return cls(
            served_date(version.compatibility_date, today or dt.datetime.now(dt.UTC).date()),
            _classic_flags(flags) if version.classic else flags,
        )

    @property
    def module_root(self) -> str:
        """What an import of a module begins with, so that it means the same one wherever it stands.

        The runtime had paths at first, and has URLs since.
        """
        if _PATH_MODULES in self.flags:
            return "/"
        return "file:///bundle/" if _URL_MODULES in self.flags or self.date >= _URL_MODULES_SINCE else "/"


def served_date(wanted: str, today: dt.date) -> str:
    """The date to run a script with: one that has come but is newer than the runtime is the runtime's newest.

    Later ones stay as they are: the runtime refuses them.
    """
    if not wanted:
        return DEFAULT_DATE
    return NEWEST_DATE if NEWEST_DATE < wanted <= today.isoformat() else wanted


def _classic_flags(flags: tuple[str, ...]) -> tuple[str, ...]:
    """What a classic script is run with: it is evaluated when it starts, and its bindings are globals."""
    return (*(flag for flag in flags if flag not in {_EVAL, _NO_EVAL, IMPORTABLE_ENV}), _EVAL)
