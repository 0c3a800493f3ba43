"""Policies: which actions a credential may do on which resource. Deny wins; the default is deny.

The shape is the Cloudflare v4 API's: an effect, permission groups by id, resources by name. A resource is an account,
a user or, as our own extension in the same shape, scripts of an account by name or glob:

    {"com.cloudflare.api.account.<id>": "*"}        {"com.cloudflare.api.account.*": "*"} for every account
    {"com.cloudflare.api.user.<id>": "*"}
    {"com.cloudflare.api.account.<id>": {"com.nightsafe.script.billing-*": "*"}}
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec
from msgspec import Struct

from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.globs import is_pattern
from nightsafe.identity.permissions import PERMISSION_GROUPS

ACCOUNT_RESOURCE = "com.cloudflare.api.account."
USER_RESOURCE = "com.cloudflare.api.user."
SCRIPT_RESOURCE = "com.nightsafe.script."

MAX_POLICIES: Final = 100
MAX_RESOURCES: Final = 600
MAX_GROUPS: Final = 600
MAX_CHARACTERS: Final = 10_000
MAX_PATTERNS: Final = 16
MAX_PATTERN_CHARACTERS: Final = 240
"""What all policies of one credential may have together: so much is looked at, or held against another's, at once."""

MAX_ENCODED: Final = 512 * 1024
"""Bytes of policies as they are stored: what is allowed has fewer."""

EVERY = "*"
"""In place of an account's id: all of them."""

Scope = str | dict[str, str]
"""How far a resource reaches: "*" for all of it, or scripts by glob, each with "*"."""

_ACCOUNT_NAME = re.compile(re.escape(ACCOUNT_RESOURCE) + r"([0-9a-f]{32}|\*)")
_USER_NAME = re.compile(re.escape(USER_RESOURCE) + r"[0-9a-f]{32}")
_SCRIPT_PATTERN = re.compile(r"([A-Za-z0-9_*?\[\]!-]{1,64}/)?[a-z0-9_*?\[\]!-]{1,255}")


class GroupRef(Struct, frozen=True):
    """A permission group as a policy names it."""

    id: str


class Policy(Struct, frozen=True, kw_only=True):
    """One statement: these groups' actions are allowed, or denied, on these resources."""

    id: str = ""
    effect: Literal["allow", "deny"]
    permission_groups: tuple[GroupRef, ...]
    resources: dict[str, Scope]


class Resource(Struct, frozen=True):
    """What an action is done to: a user; an account as a whole; or one script of an account."""

    account_id: str = ""
    script: str = ""
    user_id: str = ""


def allowing(resource: str, *groups: str, scripts: Sequence[str] = ()) -> Policy:
    """A policy that allows groups, by id, on a resource, or on those of its scripts that globs name."""
    scope: Scope = {SCRIPT_RESOURCE + glob: "*" for glob in scripts} if scripts else "*"
    return Policy(
        effect="allow", permission_groups=tuple(GroupRef(group) for group in groups), resources={resource: scope}
    )


def policies_for(account_id: str, *groups: str) -> bytes:
    """The JSON of one policy that allows the groups on one account."""
    return encode_policies([allowing(ACCOUNT_RESOURCE + account_id, *groups)])


def encode_policies(policies: Iterable[Policy]) -> bytes:
    """Policies as they are stored."""
    return msgspec.json.encode(tuple(policies))


def parse_policies(encoded: bytes) -> tuple[Policy, ...]:
    """Stored policies; one that was stored without an id is named by its place."""
    every = msgspec.json.decode(encoded, type=tuple[Policy, ...])
    return tuple(
        policy if policy.id else msgspec.structs.replace(policy, id=f"#{place}") for place, policy in enumerate(every)
    )


def confine(policy: Policy, account_id: str) -> Policy:
    """What a policy says of one account; nothing of other accounts, nothing of users."""
    scripts: dict[str, str] = {}
    resources: dict[str, Scope] = {}
    for name in (ACCOUNT_RESOURCE + account_id, ACCOUNT_RESOURCE + EVERY):
        scope = policy.resources.get(name, {})
        if isinstance(scope, dict):
            scripts |= scope
        elif scope == "*":
            resources[ACCOUNT_RESOURCE + account_id] = scope
    if scripts:
        resources.setdefault(ACCOUNT_RESOURCE + account_id, scripts)
    return msgspec.structs.replace(policy, resources=resources)


def check_policies(policies: Sequence[Policy]) -> None:
    """Refuse policies that name what is not known, for they would silently say nothing, and those that are too many.

    Raises:
        NightsafeError: INVALID, with a pointer into `policies`.
    """
    excess = excess_of(policies)
    if excess:
        raise NightsafeError(Code.INVALID, f"{excess}: give less, or make several tokens", "/policies")
    for index, policy in enumerate(policies):
        at = f"/policies/{index}"
        if not policy.permission_groups or not policy.resources:
            raise NightsafeError(Code.INVALID, "a policy needs permission groups and resources", at)
        for place, group in enumerate(policy.permission_groups):
            if group.id not in PERMISSION_GROUPS:
                raise NightsafeError(Code.INVALID, "no such permission group", f"{at}/permission_groups/{place}/id")
        for name, scope in policy.resources.items():
            if not _is_resource(name, scope):
                raise NightsafeError(
                    Code.INVALID,
                    f'a resource must be {ACCOUNT_RESOURCE}ID or {USER_RESOURCE}ID with "*", or an account with '
                    f'{{"{SCRIPT_RESOURCE}GLOB": "*"}}',
                    f"{at}/resources",
                )


def excess_of(policies: Sequence[Policy]) -> str:
    """What of policies is more than one credential may have, in words; "" when nothing is.

    Globs are counted by name: `MAX_PATTERNS` of those that are more than a name, or a beginning and `*`.
    """
    scopes = [scope for policy in policies for scope in policy.resources.values()]
    resources = sum(len(scope) if isinstance(scope, dict) else 1 for scope in scopes)
    counted = [
        (len(policies), MAX_POLICIES, "policies"),
        (sum(len(policy.permission_groups) for policy in policies), MAX_GROUPS, "permission groups in its policies"),
        (resources, MAX_RESOURCES, "resources in its policies, each script or glob counted"),
    ]
    if resources <= MAX_RESOURCES:
        counted += _counted_globs(scopes)
    return next(
        (f"a token has {there} {what}; {most} are allowed" for there, most, what in counted if there > most), ""
    )


def _counted_globs(scopes: Iterable[Scope]) -> list[tuple[int, int, str]]:
    """How much there is of scripts' names and globs, how much there may be, and of what."""
    globs = [name.removeprefix(SCRIPT_RESOURCE) for scope in scopes if isinstance(scope, dict) for name in scope]
    patterns = {glob for glob in globs if is_pattern(glob)}
    return [
        (sum(map(len, globs)), MAX_CHARACTERS, "characters in the names and globs of its scripts"),
        (len(patterns), MAX_PATTERNS, "different globs that are more than a name, or a beginning and *"),
        (sum(map(len, patterns)), MAX_PATTERN_CHARACTERS, "characters in globs that are more than a beginning and *"),
    ]


def _is_resource(name: str, scope: Scope) -> bool:
    """Whether a policy may name this."""
    if isinstance(scope, dict):
        patterns = [key.removeprefix(SCRIPT_RESOURCE) for key in scope if key.startswith(SCRIPT_RESOURCE)]
        known = len(patterns) == len(scope) > 0 and all(_SCRIPT_PATTERN.fullmatch(pattern) for pattern in patterns)
        return known and set(scope.values()) == {"*"} and _ACCOUNT_NAME.fullmatch(name) is not None
    return scope == "*" and bool(_ACCOUNT_NAME.fullmatch(name) or _USER_NAME.fullmatch(name))
