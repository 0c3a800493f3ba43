"""The facts of an entry under the names that Cloudflare's API gives them, for its objects and filters.

A fact that the entry does not have is empty: it is left out of answers, and no filter finds it.
"""

from collections.abc import Callable
from typing import Final
from uuid import UUID

from msgspec import Struct

from nightsafe.audit.actions import kind_of, scope_of
from nightsafe.audit.entry import REFUSED, AuditEvent

SUCCESS: Final = "success"
FAILURE: Final = "failure"

_CONTEXTS: Final = {
    "token": "api_token",
    "account_token": "api_token",
    "key": "api_key",
    "service_key": "origin_ca_key",
}
"""The contexts, by kind of credential. Cloudflare sends a service key and an Origin CA key in the same header."""

_TYPES: Final = {"account_token": "account", "operator": "cloudflare_admin"}
"""The types of actors other than users. The operator of a safe has the place of Cloudflare's own staff."""

_TOKENS: Final = frozenset({"token", "account_token"})
_MAX_NAMES: Final = 10


class Facts(Struct, frozen=True, kw_only=True):
    """The facts of an entry. Each is "", or 0, if it is not known."""

    action_type: str
    action_result: str
    description: str
    actor_context: str
    actor_id: str
    actor_email: str
    actor_ip_address: str
    actor_token_id: str
    actor_token_name: str
    actor_type: str
    raw_method: str
    raw_uri: str
    raw_status_code: int
    raw_user_agent: str
    resource_id: str
    resource_product: str
    resource_type: str
    resource_scope: str


def facts_of(event: AuditEvent) -> Facts:
    """Return all facts of an entry."""
    return Facts(**{name: fact(event) for name, fact in FACTS.items()})  # type: ignore[arg-type]


def uri_of(event: AuditEvent) -> str:
    """Return the path of an entry's request below `/client/v4`, or ""."""
    if not event.uri or event.uri.startswith("/"):
        return event.uri
    return f"/accounts/{event.account_id}/{event.uri}"


def script_of(event: AuditEvent) -> str:
    """Return the script of an entry, after its dispatch namespace and a slash if it has one, or ""."""
    return f"{event.namespace}/{event.script}" if event.namespace and event.script else event.script


def _action_result(event: AuditEvent) -> str:
    """Return whether the action succeeded."""
    return FAILURE if event.outcome == REFUSED else SUCCESS


def _actor_email(event: AuditEvent) -> str:
    """Return the e-mail address of the user who acted. An entry of an account's token has that of its creator."""
    return "" if event.actor_kind == "account_token" else event.email


def _token_id(event: AuditEvent) -> str:
    """Return the ID of the token that acted."""
    return event.actor if event.actor_kind in _TOKENS else ""


def _actor_id(event: AuditEvent) -> str:
    """Return the ID of the user or account that acted. Entries of tokens of users did not always name the user."""
    if event.actor_kind == "account_token":
        return event.account_id
    if event.actor_kind == "operator":
        return ""
    return event.actor if event.actor_kind not in _TOKENS else event.user_id


def _resource_id(event: AuditEvent) -> str:
    """Return the ID of the resource, or the name that identifies it."""
    kind = kind_of(event)
    if kind.resource == "version" and event.version_id:
        return str(UUID(event.version_id))
    if kind.resource == "deployment" and event.resource:
        return str(UUID(event.resource))
    if kind.resource == "secret" and event.script and event.resource:
        return f"{script_of(event)}/{event.resource}"
    return event.resource or script_of(event) or event.namespace


def _description(event: AuditEvent) -> str:
    """Return the action in words, with the names that it concerned and, for a count of refusals, their number."""
    kind = kind_of(event)
    parts = [f"{words} {_names(names)}" for words, names in (("set", event.set), ("removed", event.dropped)) if names]
    if event.outcome == REFUSED:
        times = f", {event.repeated} times more" if event.repeated else ""
        parts.append(f"refused with {event.reason}{times}")
    return f"{kind.description}: {'; '.join(parts)}" if parts else kind.description


def _names(names: tuple[str, ...]) -> str:
    """Return names with commas between them. Long lists end with the number of further names."""
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


FACTS: Final[dict[str, Callable[[AuditEvent], str | int]]] = {
    "action_type": lambda event: kind_of(event).type,
    "action_result": _action_result,
    "description": _description,
    "actor_context": lambda event: _CONTEXTS.get(event.actor_kind, ""),
    "actor_id": _actor_id,
    "actor_email": _actor_email,
    "actor_ip_address": lambda event: event.address,
    "actor_token_id": _token_id,
    "actor_token_name": lambda event: event.token_name,
    "actor_type": lambda event: _TYPES.get(event.actor_kind, "user"),
    "raw_method": lambda event: event.method,
    "raw_uri": uri_of,
    "raw_status_code": lambda event: event.status,
    "raw_user_agent": lambda event: event.user_agent,
    "resource_id": _resource_id,
    "resource_product": lambda event: kind_of(event).product,
    "resource_type": lambda event: kind_of(event).resource,
    "resource_scope": lambda event: scope_of(event, kind_of(event)),
}
"""The facts by name. Filters of a long log get only the facts that they need."""
