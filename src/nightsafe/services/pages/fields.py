"""The fields of a Pages project in a request, and how they are stored.

The members of a project are stored flat, each under its path (`production/kv_namespaces/CACHE`), so that two requests
that change different members do not undo each other. Other members are not stored, because answers would show them.

Source: `pages/projects` in the Cloudflare v4 API's specification, and the requests that wrangler sends.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from nightsafe.bindings.json_fields import need_object, need_string, optional_string, pointer_to, type_name
from nightsafe.bindings.model import PlainBinding, SecretText
from nightsafe.bindings.parse import MAX_NAME_BYTES, MAX_VALUE_BYTES
from nightsafe.bindings.unknown_members import require_known
from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.secret_value import SecretValue
from nightsafe.services.limits import Limits

ENVIRONMENTS = ("preview", "production")

_SETTINGS: dict[str, type] = {
    "always_use_latest_compatibility_date": bool,
    "build_image_major_version": int,
    "compatibility_date": str,
    "compatibility_flags": list,
    "fail_open": bool,
    "usage_model": str,
    "wrangler_config_hash": str,
}
_GROUPS: dict[str, frozenset[str]] = {"limits": frozenset({"cpu_ms"}), "placement": frozenset({"mode"})}
_MAPS: dict[str, frozenset[str]] = {
    name: frozenset(members.split())
    for name, members in {
        "ai_bindings": "project_id",
        "analytics_engine_datasets": "dataset",
        "browsers": "",
        "d1_databases": "id",
        "durable_object_namespaces": "namespace_id",
        "hyperdrive_bindings": "id",
        "kv_namespaces": "namespace_id",
        "mtls_certificates": "certificate_id",
        "queue_producers": "name",
        "r2_buckets": "name jurisdiction",
        "services": "service environment entrypoint",
        "vectorize_bindings": "index_name",
    }.items()
}
_BUILD: dict[str, type] = {
    "build_caching": bool,
    "build_command": str,
    "destination_dir": str,
    "root_dir": str,
    "web_analytics_tag": str,
}
_PROJECT = ("build_config", "deployment_configs", "name", "production_branch", "source")
_MAX_TEXT_BYTES = 8 * 1024
_POINTER = "/deployment_configs"


class ProjectPatch(Struct, frozen=True):
    """The changes that a request makes to a project.

    Attributes:
        body: members by path; None removes a member.
        secrets: secret variables to put, each with its environment.
        plain: other variables to put, each with its environment.
        keep: secret variables without a value, by environment and name; their current values stay.
        drop: variables to remove, by environment and name.
    """

    body: dict[str, Any]
    secrets: tuple[tuple[str, SecretText], ...] = ()
    plain: tuple[tuple[str, PlainBinding], ...] = ()
    keep: tuple[tuple[str, str], ...] = ()
    drop: tuple[tuple[str, str], ...] = ()


def parse_project(fields: dict[str, Any], limits: Limits) -> ProjectPatch:
    """Parse the members of a project in a request body, as a merge patch (RFC 7396): null removes, absent keeps.

    Raises:
        NightsafeError: INVALID, BINDING_NAME_TOO_LONG, BINDING_TOO_LARGE or TOO_MANY_OPERATIONS, with a pointer;
            UNSUPPORTED, for a repository to deploy from.
    """
    require_known(fields, _PROJECT, "", "the project")
    if fields.get("source") is not None:
        raise NightsafeError(Code.UNSUPPORTED, "deploy Pages projects from a repository", "/source")
    branch = optional_string(fields, "production_branch", "")
    body: dict[str, Any] = {} if branch is None else {"production_branch": branch}
    build = _optional_object(fields, "build_config", "")
    require_known(build, _BUILD, "/build_config", "'build_config'")
    body |= {f"build_config/{name}": value for name, value in _checked_members(build, _BUILD, "/build_config")}
    configs = _optional_object(fields, _POINTER.removeprefix("/"), "")
    require_known(configs, ENVIRONMENTS, _POINTER, "'deployment_configs'")
    for environment in ENVIRONMENTS:
        config, at = _optional_object(configs, environment, _POINTER), f"{_POINTER}/{environment}"
        require_known(config, (*_SETTINGS, *_GROUPS, *_MAPS, "env_vars"), at, f"'{environment}'")
        members = _environment_members(config, at)
        body |= {f"{environment}/{path}": value for path, value in members}
    return _with_variables(body, configs, limits)


def _environment_members(config: dict[str, Any], at: str) -> Iterator[tuple[str, Any]]:
    """Yield the settings and bindings of an environment, each with its path."""
    yield from _checked_members(config, _SETTINGS, at)
    for name, members in _GROUPS.items():
        if name in config:
            yield name, _known_members(config[name], members, pointer_to(at, name))
    for name, members in _MAPS.items():
        for key, value in _optional_object(config, name, at).items():
            yield f"{name}/{key}", _known_members(value, members, pointer_to(at, name, key))


def _checked_members(fields: dict[str, Any], types: dict[str, type], at: str) -> Iterator[tuple[str, Any]]:
    """Yield the members that a table lists, each with its type checked; null is allowed."""
    for name, expected in types.items():
        value = fields.get(name)
        if value is not None and (type(value) is not expected or not _has_valid_texts(value)):
            sentence = f"'{name}' must be {type_name(expected())} of at most {_MAX_TEXT_BYTES} bytes"
            raise NightsafeError(Code.INVALID, sentence, pointer_to(at, name))
        if name in fields:
            yield name, value


def _has_valid_texts(value: Any) -> bool:
    """Return whether a value has only strings, if it is a list, and is not too long."""
    texts = value if isinstance(value, list) else [value] if isinstance(value, str) else []
    return (
        all(isinstance(text, str) for text in texts) and sum(len(text.encode()) for text in texts) <= _MAX_TEXT_BYTES
    )


def _known_members(value: Any, members: frozenset[str], at: str) -> dict[str, Any] | None:
    """Return the known members of an object, which must be strings or numbers; None for null."""
    if value is None:
        return None
    known_members = {
        name: member
        for name, member in need_object(value, at, "a binding").items()
        if name in members and member is not None
    }
    for name, member in known_members.items():
        if not isinstance(member, str | int) or not _has_valid_texts(member):
            raise NightsafeError(Code.INVALID, f"'{name}' must be a string or a number", pointer_to(at, name))
    return known_members


def _optional_object(fields: dict[str, Any], name: str, at: str) -> dict[str, Any]:
    """Return a member that is an object; an empty object if it is absent or null."""
    return {} if fields.get(name) is None else need_object(fields[name], pointer_to(at, name), f"'{name}'")


def _with_variables(body: dict[str, Any], configs: dict[str, Any], limits: Limits) -> ProjectPatch:
    """Return the patch with the variables of both environments, or refuse with every problem in them."""
    raw_variables = [
        (environment, name, raw)
        for environment in ENVIRONMENTS
        for name, raw in _optional_object(
            _optional_object(configs, environment, _POINTER), "env_vars", f"{_POINTER}/{environment}"
        ).items()
    ]
    if len(raw_variables) > limits.max_operations:
        raise NightsafeError(Code.TOO_MANY_OPERATIONS, str(len(raw_variables)), _POINTER)
    variables: list[tuple[str, SecretText | PlainBinding | str]] = []
    problems: list[Problem] = []
    for environment, name, raw in raw_variables:
        try:
            at = pointer_to(_POINTER, environment, "env_vars", name)
            variables += [] if raw is None else [(environment, _parse_variable(raw, name, at))]
        except NightsafeError as error:
            problems += error.problems
    if problems:
        raise NightsafeError.of(problems)
    return ProjectPatch(
        body,
        secrets=tuple(
            (environment, variable) for environment, variable in variables if isinstance(variable, SecretText)
        ),
        plain=tuple(
            (environment, variable) for environment, variable in variables if isinstance(variable, PlainBinding)
        ),
        keep=tuple((environment, variable) for environment, variable in variables if isinstance(variable, str)),
        drop=tuple((environment, name) for environment, name, raw in raw_variables if raw is None),
    )


def _parse_variable(raw: Any, name: str, at: str) -> SecretText | PlainBinding | str:
    """Return a variable, or the name of a secret variable that has no value."""
    fields = need_object(raw, at, "a variable")
    kind = optional_string(fields, "type", at) or "plain_text"
    if kind not in {"plain_text", "secret_text"}:
        raise NightsafeError(Code.INVALID, '\'type\' must be "plain_text" or "secret_text"', pointer_to(at, "type"))
    if not name:
        raise NightsafeError(Code.INVALID, "a variable must have a name", at)
    if len(name.encode()) > MAX_NAME_BYTES:
        raise NightsafeError(Code.BINDING_NAME_TOO_LONG, str(MAX_NAME_BYTES), at)
    if kind == "secret_text" and fields.get("value") is None and fields.keys() <= {"type", "value"}:
        return name
    text = need_string(fields, "value", at)
    value = SecretValue.of_text(text)
    if len(value) > MAX_VALUE_BYTES:
        raise NightsafeError(Code.BINDING_TOO_LARGE, name, pointer_to(at, "value"))
    return (
        SecretText(name, value) if kind == "secret_text" else PlainBinding(name, kind, {"type": kind, "value": text})
    )
