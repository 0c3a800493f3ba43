"""Readers for the members of a JSON object; their errors point at the member at fault."""

from typing import Any

from nightsafe.errors import Code, NightsafeError

_TYPE_NAMES: dict[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


def pointer_to(at: str, *members: str | int) -> str:
    """Append members to the JSON Pointer `at`, each escaped as RFC 6901 requires."""
    return at + "".join("/" + str(member).replace("~", "~0").replace("/", "~1") for member in members)


def type_name(value: object) -> str:
    """Name a JSON value's type in words, without showing the value."""
    return _TYPE_NAMES.get(type(value), "something else")


def need_object(raw: object, at: str, what: str) -> dict[str, Any]:
    """Return `raw` if it is an object.

    Args:
        raw: any JSON value.
        at: JSON Pointer to the value.
        what: the value's name in an error message.

    Raises:
        NightsafeError: INVALID, when the value is not an object.
    """
    if isinstance(raw, dict):
        return raw
    raise NightsafeError(Code.INVALID, f"{what} must be an object, not {type_name(raw)}", at)


def need_string(raw: dict[str, Any], member: str, at: str) -> str:
    """Return a member that must be present and a string.

    Raises:
        NightsafeError: INVALID, pointing at the member.
    """
    if member not in raw:
        raise NightsafeError(Code.INVALID, f"'{member}' is missing: give a string", pointer_to(at, member))
    return _as_string(raw[member], member, at)


def optional_string(raw: dict[str, Any], member: str, at: str) -> str | None:
    """Return a member that must be a string if it is present and not null.

    Raises:
        NightsafeError: INVALID, pointing at the member.
    """
    value = raw.get(member)
    return None if value is None else _as_string(value, member, at)


def _as_string(value: object, member: str, at: str) -> str:
    """Return a member's value if it is a string; refuse it otherwise."""
    if isinstance(value, str):
        return value
    raise NightsafeError(Code.INVALID, f"'{member}' must be a string, not {type_name(value)}", pointer_to(at, member))


def need_array(raw: dict[str, Any], member: str, at: str) -> list[Any]:
    """Return a member that must be present and an array.

    Raises:
        NightsafeError: INVALID, pointing at the member.
    """
    value = raw.get(member)
    if isinstance(value, list):
        return value
    was = f"not {type_name(value)}" if member in raw else "and is missing"
    raise NightsafeError(Code.INVALID, f"'{member}' must be an array, {was}", pointer_to(at, member))
