"""Settings whose members are fixed, level by level: what of them is a slip, and what is not known here.

Source: the settings in the Cloudflare v4 API's specification, and what wrangler sends. A member that is no slip of a
known one is kept, for Cloudflare adds some and clients send what a configuration file has; the answer names it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from nightsafe.bindings.json_fields import need_object, need_string, optional_string, pointer_to
from nightsafe.bindings.unknown_members import refuse_slips, unknown
from nightsafe.errors import Code, NightsafeError, Problem

Form = dict[str, "Form"]
"""The members of an object, each with the form of its own members; an empty one says nothing of them."""


def _form(names: str, **inner: Form) -> Form:
    """A form of plain members and of those that have members themselves."""
    return {name: {} for name in names.split()} | inner


MAX_CONSUMERS: Final = 100
_SINK: Final = "destinations enabled head_sampling_rate invocation_logs persist propagation_policy"
_PLACE: Final = "host hostname region"
_FORMS: Final[Form] = {
    "assets": _form(
        "jwt",
        config=_form(
            "_headers _redirects base_path html_handling not_found_handling run_worker_first serve_directly"
        ),
    ),
    "cache_options": _form("cross_version_cache enabled"),
    "containers": _form("class_name images name"),
    "limits": _form("cpu_ms subrequests"),
    "observability": _form(
        "enabled head_sampling_rate redact_query_string",
        issues=_form("enabled"),
        logs=_form(_SINK),
        traces=_form(_SINK),
    ),
    "package_dependencies": _form("installedVersion name packageJsonVersion"),
    "placement": _form(f"hint last_analyzed_at mode status {_PLACE}", target=_form(_PLACE)),
    "streaming_tail_consumers": _form("environment namespace service"),
    "tail_consumers": _form("environment name namespace service"),
}
_LIMITS: Final = "limits"
"""Every limit but one does nothing here, and the answer says so of each anyway."""


def check_forms(settings: Mapping[str, Any], at: str = "") -> None:
    """Refuse a slip in a setting.

    Args:
        settings: those that a request names, each of its type.
        at: JSON Pointer to the object that they stand in.

    Raises:
        NightsafeError: INVALID, pointing at the member.
    """
    for _, fields, form, here in _objects(settings, at):
        refuse_slips(fields, form, here)


def unknown_in(settings: Mapping[str, Any], at: str = "") -> Iterator[Problem]:
    """A notice for each member of a setting that is not known.

    Args:
        settings: as `check_forms` takes them.
        at: JSON Pointer to the object that they stand in.
    """
    for name, fields, form, here in _objects(settings, at):
        if name != _LIMITS:
            yield from unknown(fields, form, here, "kept as it came")


def check_consumers(consumers: list[Any], at: str, member: str = "service") -> None:
    """Refuse a consumer of logs that names no Worker: the pages name one by `service`, or by `name`.

    Args:
        consumers: the JSON values.
        at: JSON Pointer to the list.
        member: what names the Worker.

    Raises:
        NightsafeError: INVALID, pointing at the member.
    """
    refuse_many_consumers(consumers, at)
    for index, raw in enumerate(consumers):
        here = pointer_to(at, index)
        fields = need_object(raw, here, "a consumer")
        need_string(fields, member, here)
        for other in ("environment", "namespace"):
            optional_string(fields, other, here)


def refuse_many_consumers(consumers: list[Any], at: str) -> None:
    """Refuse more consumers of logs than anybody has; NightsafeError INVALID, pointing at the list."""
    if len(consumers) > MAX_CONSUMERS:
        raise NightsafeError(Code.INVALID, f"a Worker may have {MAX_CONSUMERS} consumers of its logs at most", at)


def _objects(settings: Mapping[str, Any], at: str) -> Iterator[tuple[str, dict[str, Any], Form, str]]:
    """Each object of the settings with a form: the setting's name, the object, its form, the pointer to it."""
    for name, form in _FORMS.items():
        for fields, own, here in _within(settings.get(name), form, pointer_to(at, name)):
            yield name, fields, own, here


def _within(value: object, form: Form, at: str) -> Iterator[tuple[dict[str, Any], Form, str]]:
    """The same of one value; a list holds objects of one form."""
    if isinstance(value, list) and form:
        for index, one in enumerate(value):
            yield from _within(one, form, pointer_to(at, index))
    if isinstance(value, dict) and form:
        yield value, form, at
        for name, inner in form.items():
            yield from _within(value.get(name), inner, pointer_to(at, name))
