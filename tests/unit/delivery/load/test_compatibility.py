"""Compatibility: the date and the flags a script runs with, and how its modules are resolved."""

import datetime as dt
import uuid
from pathlib import Path

import pytest

from nightsafe.bundle.model import BundleVersion
from nightsafe.bundle.runtime_flags import NEWEST_DATE
from nightsafe.delivery.load.compatibility import Compatibility, served_date

ROOT = Path(__file__).parents[4]
TODAY = dt.date.fromisoformat(NEWEST_DATE) + dt.timedelta(days=10)


def version(date: str = "", *flags: str, classic: bool = False) -> BundleVersion:
    """Return a version with a date and flags."""
    return BundleVersion(
        id=str(uuid.uuid4()),
        percentage=100.0,
        created_on="2026-11-24T00:00:00Z",
        main_module="index.js",
        classic=classic,
        compatibility_date=date,
        compatibility_flags=flags,
        modules=(),
    )


@pytest.mark.parametrize(
    ("wanted", "days", "served"),
    [
        ("", 0, "2021-11-02"),
        ("2021-11-02", 0, "2021-11-02"),
        (NEWEST_DATE, 0, NEWEST_DATE),
        (TODAY.isoformat(), 0, NEWEST_DATE),
        (TODAY.isoformat(), -1, TODAY.isoformat()),
        ("2999-01-01", 0, "2999-01-01"),
    ],
)
def test_a_past_date_is_at_most_the_runtimes_newest(wanted: str, days: int, served: str) -> None:
    """A past date becomes at most the runtime's newest; a future date is kept, so that the runtime refuses it."""
    assert served == served_date(wanted, TODAY + dt.timedelta(days=days))


@pytest.mark.parametrize(
    ("date", "flags", "root"),
    [
        ("", (), "/"),
        ("2026-11-16", (), "/"),
        ("2026-11-16", ("new_module_registry",), "file:///bundle/"),
        ("2026-11-17", (), "file:///bundle/"),
        ("2026-11-17", ("legacy_module_registry",), "/"),
    ],
)
def test_modules_are_resolved_by_path_or_url(date: str, flags: tuple[str, ...], root: str) -> None:
    """Older dates resolve modules by path and newer ones by URL, unless a flag overrides this."""
    assert root == Compatibility.for_version(version(date, *flags)).module_root


def test_a_classic_script_may_evaluate_at_startup() -> None:
    """A classic script gets the flag that allows evaluation at startup, and no flag without effect on it."""
    flags = ("nodejs_compat", "disallow_eval_during_startup", "disallow_importable_env", "allow_eval_during_startup")

    assert ("nodejs_compat", "allow_eval_during_startup") == Compatibility.for_version(
        version("", *flags, classic=True)
    ).flags
    assert flags == Compatibility.for_version(version("", *flags)).flags


def test_the_newest_date_is_documented() -> None:
    """The page on delivery names the date that later dates are served as."""
    assert f"newest, {NEWEST_DATE}" in (ROOT / "docs" / "delivery.md").read_text(encoding="utf-8").replace("\n", " ")
