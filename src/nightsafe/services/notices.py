"""Notices beside the result of an answer, mostly for settings that Nightsafe stores and does not act on.

A notice is a `Problem` that refuses nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from nightsafe.bundle.runtime_flags import NEWEST_DATE
from nightsafe.errors import Code, Problem
from nightsafe.services.scripts.setting_forms import unknown_setting_notices

Notices = tuple[Problem, ...]

_WITHOUT_EFFECT: Final = {
    "assets": "serve static assets",
    "cache_options": "have a configurable cache",
    "containers": "run containers",
    "logpush": "push logs",
    "observability": "keep logs or traces of Workers",
    "placement": "place Workers: each Worker runs on the machine that Nightsafe runs on",
    "streaming_tail_consumers": "run tail Workers",
    "tail_consumers": "run tail Workers",
}
"""Settings that are stored without effect, each with the function that Nightsafe lacks."""

_SMART_OFF: Final = "off"


def settings_notices(settings: Mapping[str, Any], at: str = "") -> Notices:
    """Return notices for settings that have no effect, unknown settings, and a date that the runtime does not know.

    Args:
        settings: the checked settings of a request.
        at: JSON Pointer to the object that contains them.
    """
    return tuple(_settings_problems(settings, at))


def schedule_notices(crons: Iterable[str]) -> Notices:
    """Return a notice if there is a schedule, because Nightsafe does not run schedules."""
    if not any(True for _ in crons):
        return ()
    return (
        _no_effect_notice("run Workers on a schedule: the cron triggers are stored and have no effect", "/schedules"),
    )


def migration_notices(*, present: bool) -> Notices:
    """Return a notice if an upload has Durable Object migrations."""
    return (
        (_no_effect_notice("run Durable Objects: it stores only the tag of 'migrations'", "/migrations"),)
        if present
        else ()
    )


def kept_secret_notices(names: Iterable[str]) -> Notices:
    """Return a notice for each secret that an upload lists without its value.

    Some clients leave the value out by mistake.
    """
    sentence = "has no value in the upload, so its current value stays, as with the type 'inherit'"
    return tuple(Problem(Code.INVALID, f"the secret '{name}' {sentence}", "/bindings") for name in names)


def _settings_problems(settings: Mapping[str, Any], at: str) -> Iterator[Problem]:
    """Yield the notices of `settings_notices`."""
    for name, function in _WITHOUT_EFFECT.items():
        if _is_enabled(settings.get(name)):
            yield _no_effect_notice(f"{function}: '{name}' is stored and has no effect", f"{at}/{name}")
    others = [
        name for name, value in (settings.get("limits") or {}).items() if name != "cpu_ms" and value is not None
    ]
    for name in others:
        yield _no_effect_notice(
            f"limit a Worker's {name}: 'limits.{name}' is stored and has no effect", f"{at}/limits/{name}"
        )
    yield from unknown_setting_notices(settings, at)
    date = settings.get("compatibility_date") or ""
    if date > NEWEST_DATE:
        sentence = f"the runtime knows compatibility dates up to {NEWEST_DATE}: it uses that date instead of '{date}'"
        yield Problem(Code.INVALID, sentence, f"{at}/compatibility_date")


def _is_enabled(value: object) -> bool:
    """Return whether a setting has any value other than off."""
    if isinstance(value, dict):
        return any(_is_enabled(inner) for inner in value.values()) and value.get("enabled") is not False
    return bool(value) and value != _SMART_OFF


def _no_effect_notice(function: str, pointer: str) -> Problem:
    """Return a notice that Nightsafe lacks a function."""
    return Problem(Code.UNSUPPORTED, function, pointer)
