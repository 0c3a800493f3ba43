"""Parses the request body that makes or changes a token. A refusal points to the faulty field."""

import ipaddress
import re
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from nightsafe.api.http.times import parse_time
from nightsafe.bindings.json_fields import need_array, need_object, need_string, optional_string, pointer_to
from nightsafe.bindings.unknown_members import refuse_misspelt, require_known
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.conditions import Condition, RequestIp
from nightsafe.identity.policy import ACCOUNT_RESOURCE, MAX_POLICIES, Policy, check_policies
from nightsafe.services.identity.tokens import ACTIVE, DISABLED, EXPIRED, TokenRequest

MAX_ITEMS = 300
MAX_NAME = 120

_MAX_RANGE = 64
_MEMBERS = ("condition", "expires_on", "name", "not_before", "policies", "status")
_STATUSES = (ACTIVE, DISABLED, EXPIRED)
_PATH_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_MISSING = re.compile(r"missing required field `(\w+)`")


class _Body(Struct):
    """The fields that msgspec checks completely by their types."""

    policies: tuple[Policy, ...]


def parse_token_request(raw: object, *, account_id: str = "", expires_after: int = 0) -> TokenRequest:
    """Parse the token that a request body describes. Unknown members are ignored, but misspelt ones are refused.

    Otherwise a misspelt condition or expiry would make a token that is valid everywhere and for ever.

    Args:
        raw: any JSON value.
        account_id: the account of an account's token, or "".
        expires_after: the time that `expires_on` must be later than, in microseconds since 1970.

    Raises:
        NightsafeError: INVALID, with a pointer.
    """
    body = need_object(raw, "", "the request body")
    refuse_misspelt(body, _MEMBERS, "")
    not_before, expires_on = _time(body, "not_before"), _time(body, "expires_on")
    if expires_on is not None and expires_on <= max(expires_after, not_before or 0):
        raise _invalid("'expires_on' must lie in the future and after 'not_before'", "/expires_on")
    return TokenRequest(
        name=_name(body),
        policies=_policies(body, account_id),
        condition=_condition(body),
        not_before=not_before,
        expires_on=expires_on,
        status=_status(body),
    )


def _invalid(sentence: str, pointer: str) -> NightsafeError:
    """Return a refusal of one field."""
    return NightsafeError(Code.INVALID, sentence, pointer)


def _name(body: dict[str, Any]) -> str:
    """Return the token's name."""
    name = need_string(body, "name", "")
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise _invalid(f"'name' must have 1 to {MAX_NAME} printable characters", "/name")
    return name


def _status(body: dict[str, Any]) -> str | None:
    """Return the token's status, or None to keep it. `expired`, sent back after a read, keeps it too."""
    status = optional_string(body, "status", "")
    if status is not None and status not in _STATUSES:
        raise _invalid(f"'status' must be one of {', '.join(_STATUSES)}", "/status")
    return None if status == EXPIRED else status


def _time(body: dict[str, Any], member: str) -> int | None:
    """Return an optional time; None if it is absent or null."""
    text = optional_string(body, member, "")
    try:
        return None if text is None else parse_time(text)
    except ValueError:
        sentence = f"'{member}' must be an RFC 3339 time from 1970 or later, with an offset: 2030-01-31T12:00:00Z"
        raise _invalid(sentence, f"/{member}") from None


def _policies(body: dict[str, Any], account_id: str) -> tuple[Policy, ...]:
    """Return the token's policies. Those of an account's token may only name its own account."""
    _check_count(need_array(body, "policies", ""), "/policies", MAX_POLICIES, minimum=1)
    try:
        policies = msgspec.convert(body, _Body).policies
    except msgspec.ValidationError as error:
        raise _policy_refusal(str(error)) from None
    for index, policy in enumerate(policies):
        at = pointer_to("/policies", index)
        if account_id and set(policy.resources) - {ACCOUNT_RESOURCE + account_id}:
            raise _invalid(
                "the policies of an account's token can name only that account as a resource", f"{at}/resources"
            )
    check_policies(policies)
    return policies


def _policy_refusal(message: str) -> NightsafeError:
    """Return the refusal of an invalid policy, with the path from msgspec's message; the rest may repeat a value."""
    _, _, path = message.rpartition("$")
    steps = [name or index for name, index in _PATH_STEP.findall(path)] or ["policies"]
    missing = _MISSING.search(message)
    return _invalid(
        "a policy needs 'effect' (allow or deny), 'permission_groups' ([{\"id\"}]) and 'resources' ({name: \"*\"})",
        pointer_to("", *steps, *([missing[1]] if missing else [])),
    )


def _condition(body: dict[str, Any]) -> Condition:
    """Return the conditions on the token's requests."""
    at = "/condition/request_ip"
    condition = _member(body, "condition", "")
    require_known(condition, ("request_ip",), "/condition", "the condition")
    request_ip = _member(condition, "request_ip", "/condition")
    require_known(request_ip, ("in", "not_in"), at, "the condition")
    ranges = RequestIp(_ranges(request_ip, "in", at), _ranges(request_ip, "not_in", at))
    return Condition() if ranges == RequestIp() else Condition(ranges)


def _member(raw: dict[str, Any], member: str, at: str) -> dict[str, Any]:
    """Return an optional object; an empty one if it is absent or null."""
    value = raw.get(member)
    return {} if value is None else need_object(value, pointer_to(at, member), f"'{member}'")


def _ranges(raw: dict[str, Any], member: str, at: str) -> tuple[str, ...]:
    """Return optional CIDR ranges; none if they are absent or null."""
    if raw.get(member) is None:
        return ()
    ranges = need_array(raw, member, at)
    at = pointer_to(at, member)
    _check_count(ranges, at, MAX_ITEMS)
    for index, text in enumerate(ranges):
        if not _is_valid_text(lambda text: ipaddress.ip_network(text, strict=False), text):
            raise _invalid("give a CIDR range, such as 192.0.2.0/24 or 2001:db8::/32", pointer_to(at, index))
    return tuple(ranges)


def _is_valid_text(read: Callable[[str], object], value: object) -> bool:
    """Tell whether a value is a short string that `read` accepts."""
    if not isinstance(value, str) or len(value) > _MAX_RANGE:
        return False
    try:
        read(value)
    except ValueError:
        return False
    return True


def _check_count(items: Any, at: str, maximum: int, minimum: int = 0) -> None:
    """Refuse a list that is too long or too short."""
    if not minimum <= len(items) <= maximum:
        raise _invalid(f"give {minimum} to {maximum} items", at)
