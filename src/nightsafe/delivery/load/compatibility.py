"""Chooses the compatibility date and the flags that the runtime gets for a script."""

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
    """The compatibility date and flags that a script runs with.

    Attributes:
        date: as YYYY-MM-DD.
        flags: by name.
    """

    date: str
    flags: tuple[str, ...]

    @classmethod
    def for_version(cls, version: BundleVersion, today: dt.date | None = None) -> Self:
        """Return the date and flags that a version runs with.

        Args:
            version: the version.
            today: today's date in UTC; for tests.
        """
        flags = version.compatibility_flags
        return cls(
            served_date(version.compatibility_date, today or dt.datetime.now(dt.UTC).date()),
            _classic_flags(flags) if version.classic else flags,
        )

    @property
    def module_root(self) -> str:
        """The prefix that makes an import name the same module from anywhere.

        The runtime's older registry uses paths, and the newer one URLs.
        """
        if _PATH_MODULES in self.flags:
            return "/"
        return "file:///bundle/" if _URL_MODULES in self.flags or self.date >= _URL_MODULES_SINCE else "/"


def served_date(requested: str, today: dt.date) -> str:
    """Return the date to run a script with.

    A date up to today that is newer than the runtime becomes the runtime's newest. A date in the future stays as it
    is, and the runtime refuses it.
    """
    if not requested:
        return DEFAULT_DATE
    return NEWEST_DATE if NEWEST_DATE < requested <= today.isoformat() else requested


def _classic_flags(flags: tuple[str, ...]) -> tuple[str, ...]:
    """Return the flags for a classic script: the runtime evaluates it at its start, and its bindings are globals."""
    return (*(flag for flag in flags if flag not in {_EVAL, _NO_EVAL, IMPORTABLE_ENV}), _EVAL)
