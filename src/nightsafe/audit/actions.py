"""Classifies the actions in the audit log as Cloudflare's API does: by type, product and resource."""

from typing import Final

from msgspec import Struct

from nightsafe.audit.entry import VIEWED, AuditEvent

CREATE: Final = "create"
UPDATE: Final = "update"
DELETE: Final = "delete"
VIEW: Final = "view"

ACCOUNTS: Final = "accounts"
USER: Final = "user"
MEMBERSHIPS: Final = "memberships"


class Kind(Struct, frozen=True):
    """The classification of an action.

    Attributes:
        type: `create`, `update`, `delete` or `view`.
        product: the product of the resource, for example `workers`.
        resource: the type of the resource, for example `secret`.
        description: the action in words.
    """

    type: str
    product: str
    resource: str
    description: str


_WORKERS: Final = "workers"
_STORE: Final = "secrets_store"
_KEYS: Final = "nightsafe_keys"
_PLATFORMS: Final = "workers_for_platforms"

ACTIONS: Final = {
    "secrets.put": Kind(UPDATE, _WORKERS, "secret", "Put secret"),
    "secrets.delete": Kind(DELETE, _WORKERS, "secret", "Delete secret"),
    "secrets.patch": Kind(UPDATE, _WORKERS, "secret", "Patch secrets"),
    "scripts.upload": Kind(UPDATE, _WORKERS, "script", "Upload script"),
    "scripts.content": Kind(UPDATE, _WORKERS, "script", "Upload content of script"),
    "scripts.tags": Kind(UPDATE, _WORKERS, "script", "Change tags of script"),
    "scripts.delete": Kind(DELETE, _WORKERS, "script", "Delete script"),
    "settings.patch": Kind(UPDATE, _WORKERS, "script", "Change settings of script"),
    "script_settings.patch": Kind(UPDATE, _WORKERS, "script", "Change script settings"),
    "subdomain.set": Kind(UPDATE, _WORKERS, "script", "Change subdomain of script"),
    "schedules.set": Kind(UPDATE, _WORKERS, "script", "Change schedules of script"),
    "workers.edit": Kind(UPDATE, _WORKERS, "script", "Edit Worker"),
    "previews.edit": Kind(UPDATE, _WORKERS, "preview", "Edit bindings of preview"),
    "versions.upload": Kind(CREATE, _WORKERS, "version", "Upload version"),
    "versions.secrets": Kind(CREATE, _WORKERS, "version", "Make version with changed secrets"),
    "deployments.create": Kind(CREATE, _WORKERS, "deployment", "Create deployment"),
    "approvals.create": Kind(CREATE, _WORKERS, "approval", "Approve version"),
    "namespaces.create": Kind(CREATE, _PLATFORMS, "dispatch_namespace", "Create dispatch namespace"),
    "namespaces.delete": Kind(DELETE, _PLATFORMS, "dispatch_namespace", "Delete dispatch namespace"),
    "projects.create": Kind(CREATE, "pages", "project", "Create project"),
    "projects.edit": Kind(UPDATE, "pages", "project", "Edit project"),
    "projects.delete": Kind(DELETE, "pages", "project", "Delete project"),
    "stores.create": Kind(CREATE, _STORE, "store", "Create store"),
    "stores.delete": Kind(DELETE, _STORE, "store", "Delete store"),
    "stores.secrets.create": Kind(CREATE, _STORE, "secret", "Create secrets of store"),
    "stores.secrets.edit": Kind(UPDATE, _STORE, "secret", "Edit secret of store"),
    "stores.secrets.duplicate": Kind(CREATE, _STORE, "secret", "Duplicate secret of store"),
    "stores.secrets.delete": Kind(DELETE, _STORE, "secret", "Delete secrets of store"),
    "tokens.create": Kind(CREATE, "api_tokens", "token", "Create token"),
    "tokens.update": Kind(UPDATE, "api_tokens", "token", "Update token"),
    "tokens.roll": Kind(UPDATE, "api_tokens", "token", "Roll token"),
    "tokens.delete": Kind(DELETE, "api_tokens", "token", "Delete token"),
    "accounts.create": Kind(CREATE, "accounts", "account", "Create account"),
    "users.create": Kind(CREATE, "users", "user", "Create user"),
    "memberships.create": Kind(CREATE, "members", "membership", "Add member"),
    "keys.reseal": Kind(UPDATE, _KEYS, "sealed_value", "Reseal values"),
    "keys.ring": Kind(UPDATE, _KEYS, "public_ring", "Use public ring"),
    "keys.retire": Kind(UPDATE, _KEYS, "recipient_key", "Retire recipient key"),
    "identities.accept": Kind(UPDATE, "accounts", "identity", "Accept rows of identities"),
    "identities.delete": Kind(DELETE, "accounts", "identity", "Delete rows of identities"),
    "values.state": Kind(UPDATE, _KEYS, "sealed_value", "State values older than the log"),
    "audit.archive": Kind(UPDATE, "audit_logs", "audit_log", "Archive entries"),
    "log.state": Kind(UPDATE, _WORKERS, "deployment", "State deployment older than the log"),
}
"""The actions of changes. A test compares them with the code that makes the entries."""

_BY_PERMISSION: Final = {
    "scripts": (_WORKERS, "script"),
    "approvals": (_WORKERS, "approval"),
    "secrets": (_WORKERS, "secret"),
    "pages": ("pages", "project"),
    "stores": (_STORE, "store"),
    "account": ("accounts", "account"),
    "audit": ("audit_logs", "audit_log"),
    "tokens": ("api_tokens", "token"),
    "user": ("users", "user"),
    "memberships": ("members", "membership"),
}
"""The product and resource of a request that changed nothing, by the first part of the permission that it needs."""

_BY_METHOD: Final = {"GET": VIEW, "POST": CREATE, "DELETE": DELETE}
_VERBS: Final = {VIEW: "View", CREATE: "Create", UPDATE: "Update", DELETE: "Delete"}
_USER_RESOURCES: Final = frozenset({"user", "token"})


def kind_of(event: AuditEvent) -> Kind:
    """Return the classification of an entry's action. An unknown action changes an unknown resource."""
    known = ACTIONS.get(event.action)
    if known is not None:
        return known
    product, resource = _BY_PERMISSION.get(event.action.partition(".")[0], ("", ""))
    action_type = VIEW if event.outcome == VIEWED else _BY_METHOD.get(event.method, UPDATE)
    words = f"{_VERBS[action_type]} {resource.replace('_', ' ') or 'resource'}"
    return Kind(action_type, product, resource, words)


def scope_of(event: AuditEvent, kind: Kind) -> str:
    """Return the scope of an entry's resource: `accounts`, `user`, `memberships`, or "" for the whole safe."""
    if kind.resource == "membership":
        return MEMBERSHIPS
    if event.account_id:
        return ACCOUNTS
    return USER if kind.resource in _USER_RESOURCES or event.outcome else ""
