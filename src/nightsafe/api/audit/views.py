"""The JSON of audit log entries in both versions of the API. Facts that an entry does not have are left out."""

from collections.abc import Mapping
from typing import Any, Final

from nightsafe.api.http.times import format_time
from nightsafe.audit.facts import SUCCESS, facts_of, script_of
from nightsafe.services.audit.logs import LogEntry
from nightsafe.store.identities import Account

_V1_TYPES: Final = {"user": "user", "cloudflare_admin": "admin"}
"""Version 1 has no type for an account that acts by its own token."""


def to_json(entry: LogEntry, account: Account) -> dict[str, Any]:
    """Return an entry as version 2 shows it."""
    facts = facts_of(entry.event)
    parts: dict[str, Mapping[str, object]] = {
        "account": {"id": account.id, "name": account.name},
        "action": {
            "description": facts.description,
            "result": facts.action_result,
            "time": format_time(entry.event.at),
            "type": facts.action_type,
        },
        "actor": {
            "id": facts.actor_id,
            "context": facts.actor_context,
            "email": facts.actor_email,
            "ip_address": facts.actor_ip_address,
            "token_id": facts.actor_token_id,
            "token_name": facts.actor_token_name,
            "type": facts.actor_type,
        },
        "raw": {
            "method": facts.raw_method,
            "status_code": facts.raw_status_code,
            "uri": facts.raw_uri,
            "user_agent": facts.raw_user_agent,
        },
        "resource": {
            "id": facts.resource_id,
            "product": facts.resource_product,
            "scope": facts.resource_scope,
            "type": facts.resource_type,
        },
    }
    known = {name: _known(members) for name, members in parts.items()}
    return {"id": entry.id, **{name: members for name, members in known.items() if members}}


def to_json_v1(entry: LogEntry) -> dict[str, Any]:
    """Return an entry as version 1 shows it."""
    event, facts = entry.event, facts_of(entry.event)
    actor = {
        "id": facts.actor_id,
        "email": facts.actor_email,
        "ip": facts.actor_ip_address,
        "type": _V1_TYPES.get(facts.actor_type, ""),
    }
    metadata = {
        "token_id": facts.actor_token_id,
        "token_name": facts.actor_token_name,
        "permission": event.permission,
        "policy": event.policy,
        "script": script_of(event),
        "collection": event.collection,
        "set": list(event.set),
        "dropped": list(event.dropped),
        "version_ids": event.version_id.split(",") if event.version_id else [],
        "reason": event.reason,
        "repeated": event.repeated,
    }
    shown = {
        "id": entry.id,
        "action": {"type": event.action, "result": facts.action_result == SUCCESS},
        "actor": _known(actor),
        "interface": "API" if event.method else "",
        "metadata": _known(metadata),
        "owner": _known({"id": event.user_id}),
        "resource": _known({"id": facts.resource_id, "type": facts.resource_type}),
        "when": format_time(event.at),
    }
    return _known(shown)


def _known(members: Mapping[str, object]) -> dict[str, object]:
    """Return the members that are not empty."""
    return {name: value for name, value in members.items() if value}
