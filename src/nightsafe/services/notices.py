"""What an answer says beside its result: settings that are kept and do nothing here.

A notice is a `Problem` that refuses nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from nightsafe.bundle.runtime_flags import NEWEST_DATE
from nightsafe.errors import Code, Problem
from nightsafe.services.scripts.setting_forms import unknown_in

Notices = tuple[Problem, ...]

_IDLE: Final = {
    "assets": "serve static assets",
    "cache_options": "have a cache to set up",
    "containers": "run containers",
    "logpush": "push logs",
    "observability": "keep logs or traces of Workers",
    "placement": "place Workers: each runs where Nightsafe runs",
    "streaming_tail_consumers": "run tail Workers",
    "tail_consumers": "run tail Workers",
}
"""Settings that are kept and do nothing, with what would have to be done for them."""

_SMART_OFF: Final = "off"


def of_settings(settings: Mapping[str, Any], at: str = "") -> Notices:
    """A notice for each setting that is kept and does nothing, or not known, and for a date that the runtime lacks.

    Args:
        settings: those that a request names, checked.
        at: JSON Pointer to the object that they stand in.
    """
    return tuple(_of_settings(settings, at))


def of_schedules(crons: Iterable[str]) -> Notices:
    """A notice when there is a schedule: nothing runs it."""
    if not any(True for _ in crons):
        return ()
    return (_idle("run Workers by schedule: the cron triggers are kept and given back", "/schedules"),)


def of_migrations(*, present: bool) -> Notices:
    """A notice when an upload brings Durable Object migrations."""
    return (_idle("run Durable Objects: of 'migrations' only the tag is kept", "/migrations"),) if present else ()


def of_kept(names: Iterable[str]) -> Notices:
    """A notice for each secret of an upload that came without its value, which some clients leave out by mistake."""
    sentence = "came without its value, so the one there is stays, as with the type 'inherit'"
    return tuple(Problem(Code.INVALID, f"the secret '{name}' {sentence}", "/bindings") for name in names)


def _of_settings(settings: Mapping[str, Any], at: str) -> Iterator[Problem]:
    """The same, one after the other."""
    for name, event in _IDLE.items():
        if _asks_for_something(settings.get(name)):
            yield _idle(f"{event}: '{name}' is kept and does nothing", f"{at}/{name}")
    others = [
        name for name, value in (settings.get("limits") or {}).items() if name != "cpu_ms" and value is not None
    ]
    for name in others:
        yield _idle(f"limit a Worker's {name}: 'limits.{name}' is kept and does nothing", f"{at}/limits/{name}")
    yield from unknown_in(settings, at)
    date = settings.get("compatibility_date") or ""
    if date > NEWEST_DATE:
        sentence = f"the runtime here knows dates up to {NEWEST_DATE}, so '{date}' is served as that one"
        yield Problem(Code.INVALID, sentence, f"{at}/compatibility_date")


def _asks_for_something(value: object) -> bool:
    """Whether a setting is anything but off."""
    if isinstance(value, dict):
        return any(_asks_for_something(inner) for inner in value.values()) and value.get("enabled") is not False
    return bool(value) and value != _SMART_OFF


def _idle(event: str, pointer: str) -> Problem:
    """A notice of something that is not done."""
    return Problem(Code.UNSUPPORTED, event, pointer)
