"""Settings with a fixed structure: refuses misspelt members, and reports unknown ones.

A member that does not look like a misspelling of a known one is stored: Cloudflare adds members, and clients send
everything in their configuration file. The answer names such a member.

Source: the settings in the Cloudflare v4 API's specification, and the requests that wrangler sends.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from nightsafe.bindings.json_fields import need_object, need_string, optional_string, pointer_to
from nightsafe.bindings.unknown_members import refuse_misspelt, unknown_member_notices
from nightsafe.errors import Code, NightsafeError, Problem

Form = dict[str, "Form"]
"""The members of an object, each with the form of its value. An empty form leaves the value unchecked."""


def _form(names: str, **inner: Form) -> Form:
    """Return a form from the names of plain members and the forms of nested ones."""
    return {name: {} for name in names.split()} | inner


CONSUMERS: Final = ("tail_consumers", "streaming_tail_consumers")
"""The settings that name consumers of a script's logs."""

MAX_CONSUMERS: Final = 100
_DESTINATION_MEMBERS: Final = "destinations enabled head_sampling_rate invocation_logs persist propagation_policy"
_PLACEMENT_MEMBERS: Final = "host hostname region"
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
        logs=_form(_DESTINATION_MEMBERS),
        traces=_form(_DESTINATION_MEMBERS),
    ),
    "package_dependencies": _form("installedVersion name packageJsonVersion"),
    "placement": _form(f"hint last_analyzed_at mode status {_PLACEMENT_MEMBERS}", target=_form(_PLACEMENT_MEMBERS)),
    "streaming_tail_consumers": _form("environment namespace service"),
    "tail_consumers": _form("environment name namespace service"),
}
_LIMITS: Final = "limits"
"""Excluded from notices of unknown members: every limit except `cpu_ms` gets a notice of its own."""


def check_forms(settings: Mapping[str, Any], at: str = "") -> None:
    """Refuse misspelt members of settings.

    Args:
        settings: the settings of a request, with their types checked.
        at: JSON Pointer to the object that contains them.

    Raises:
        NightsafeError: INVALID, pointing at the member.
    """
    for _, fields, form, pointer in _objects(settings, at):
        refuse_misspelt(fields, form, pointer)


def unknown_setting_notices(settings: Mapping[str, Any], at: str = "") -> Iterator[Problem]:
    """Yield a notice for each unknown member of a setting.

    Args:
        settings: like in `check_forms`.
        at: JSON Pointer to the object that contains them.
    """
    for name, fields, form, pointer in _objects(settings, at):
        if name != _LIMITS:
            yield from unknown_member_notices(fields, form, pointer, "stored unchanged")


def check_consumers(consumers: list[Any], at: str, member: str = "service") -> None:
    """Refuse a log consumer that names no Worker. The API names it by `service`, or in some places by `name`.

    Args:
        consumers: the JSON values.
        at: JSON Pointer to the list.
        member: the member that names the Worker.

    Raises:
        NightsafeError: INVALID, pointing at the member.
    """
    refuse_many_consumers(consumers, at)
    for index, raw in enumerate(consumers):
        pointer = pointer_to(at, index)
        fields = need_object(raw, pointer, "a consumer")
        need_string(fields, member, pointer)
        for other in ("environment", "namespace"):
            optional_string(fields, other, pointer)


def refuse_many_consumers(consumers: list[Any], at: str) -> None:
    """Refuse too many log consumers.

    Raises:
        NightsafeError: INVALID, pointing at the list.
    """
    if len(consumers) > MAX_CONSUMERS:
        raise NightsafeError(Code.INVALID, f"a Worker may have at most {MAX_CONSUMERS} consumers of its logs", at)


def _objects(settings: Mapping[str, Any], at: str) -> Iterator[tuple[str, dict[str, Any], Form, str]]:
    """Yield each object in the settings that has a form: the setting's name, the object, its form and its pointer."""
    for name, form in _FORMS.items():
        for fields, own, pointer in _nested_objects(settings.get(name), form, pointer_to(at, name)):
            yield name, fields, own, pointer


def _nested_objects(value: object, form: Form, at: str) -> Iterator[tuple[dict[str, Any], Form, str]]:
    """Yield each object with a form in one value, with its form and pointer; a list holds objects of one form."""
    if isinstance(value, list) and form:
        for index, item in enumerate(value):
            yield from _nested_objects(item, form, pointer_to(at, index))
    if isinstance(value, dict) and form:
        yield value, form, at
        for name, inner in form.items():
            yield from _nested_objects(value.get(name), inner, pointer_to(at, name))
