"""Policies: which actions a credential allows on which resources. Deny wins; the default is deny.

The format is the Cloudflare v4 API's: an effect, permission groups by ID, and resources by name. A resource is an
account or a user. As an extension in the same format, it can also be scripts in an account, by name or glob:

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
"""Limits for all policies of one credential together. They bound the time of one decision and of one comparison."""

MAX_ENCODED: Final = 512 * 1024
"""Limit of encoded policies in the store, in bytes. Policies within the other limits are shorter."""

ALL_ACCOUNTS = "*"
"""Stands for all accounts in place of an account ID."""

Scope = str | dict[str, str]
"""The scope of a resource: "*" for all of it, or a mapping from globs of scripts to "*"."""

_ACCOUNT_NAME = re.compile(re.escape(ACCOUNT_RESOURCE) + r"([0-9a-f]{32}|\*)")
_USER_NAME = re.compile(re.escape(USER_RESOURCE) + r"[0-9a-f]{32}")
_SCRIPT_PATTERN = re.compile(r"([A-Za-z0-9_*?\[\]!-]{1,64}/)?[a-z0-9_*?\[\]!-]{1,255}")


class GroupRef(Struct, frozen=True):
    """A reference to a permission group in a policy."""

    id: str


class Policy(Struct, frozen=True, kw_only=True):
    """One statement: allows or denies the actions of the groups on the resources."""

    id: str = ""
    effect: Literal["allow", "deny"]
    permission_groups: tuple[GroupRef, ...]
    resources: dict[str, Scope]


class Resource(Struct, frozen=True):
    """The target of an action: a user, a whole account, or one script in an account."""

    account_id: str = ""
    script: str = ""
    user_id: str = ""


def allow_policy(resource: str, *groups: str, scripts: Sequence[str] = ()) -> Policy:
    """Return a policy that allows groups, by ID, on a resource, or on the scripts in it that globs match."""
    scope: Scope = {SCRIPT_RESOURCE + glob: "*" for glob in scripts} if scripts else "*"
    return Policy(
        effect="allow", permission_groups=tuple(GroupRef(group) for group in groups), resources={resource: scope}
    )


def policies_for(account_id: str, *groups: str) -> bytes:
    """Return the JSON of one policy that allows the groups on one account."""
    return encode_policies([allow_policy(ACCOUNT_RESOURCE + account_id, *groups)])


def encode_policies(policies: Iterable[Policy]) -> bytes:
    """Encode policies for the store."""
    return msgspec.json.encode(tuple(policies))


def parse_policies(encoded: bytes) -> tuple[Policy, ...]:
    """Decode stored policies; a policy without an ID gets `#` and its index."""
    policies = msgspec.json.decode(encoded, type=tuple[Policy, ...])
    return tuple(
        policy if policy.id else msgspec.structs.replace(policy, id=f"#{index}")
        for index, policy in enumerate(policies)
    )


def confine(policy: Policy, account_id: str) -> Policy:
    """Return a policy restricted to one account: its other accounts and its users are removed."""
    scripts: dict[str, str] = {}
    resources: dict[str, Scope] = {}
    for name in (ACCOUNT_RESOURCE + account_id, ACCOUNT_RESOURCE + ALL_ACCOUNTS):
        scope = policy.resources.get(name, {})
        if isinstance(scope, dict):
            scripts |= scope
        elif scope == "*":
            resources[ACCOUNT_RESOURCE + account_id] = scope
    if scripts:
        resources.setdefault(ACCOUNT_RESOURCE + account_id, scripts)
    return msgspec.structs.replace(policy, resources=resources)


def check_policies(policies: Sequence[Policy]) -> None:
    """Refuse policies that exceed a limit or name an unknown group or resource.

    An unknown name would silently have no effect.

    Raises:
        NightsafeError: INVALID, with a pointer into `policies`.
    """
    excess = exceeded_limit(policies)
    if excess:
        sentence = f"{excess}; shorten the policies, or split them into several tokens"
        raise NightsafeError(Code.INVALID, sentence, "/policies")
    for index, policy in enumerate(policies):
        at = f"/policies/{index}"
        if not policy.permission_groups or not policy.resources:
            raise NightsafeError(Code.INVALID, "a policy needs permission groups and resources", at)
        for place, group in enumerate(policy.permission_groups):
            if group.id not in PERMISSION_GROUPS:
                raise NightsafeError(Code.INVALID, "unknown permission group", f"{at}/permission_groups/{place}/id")
        for name, scope in policy.resources.items():
            if not _is_resource(name, scope):
                raise NightsafeError(
                    Code.INVALID,
                    f'a resource must be {ACCOUNT_RESOURCE}ID or {USER_RESOURCE}ID with "*", or an account with '
                    f'{{"{SCRIPT_RESOURCE}GLOB": "*"}}',
                    f"{at}/resources",
                )


def exceeded_limit(policies: Sequence[Policy]) -> str:
    """Return the first limit that policies exceed, in words; "" if they exceed none.

    `MAX_PATTERNS` counts distinct globs that are patterns: neither a name, nor a prefix followed by one `*`.
    """
    scopes = [scope for policy in policies for scope in policy.resources.values()]
    resources = sum(len(scope) if isinstance(scope, dict) else 1 for scope in scopes)
    counted = [
        (len(policies), MAX_POLICIES, "policies"),
        (sum(len(policy.permission_groups) for policy in policies), MAX_GROUPS, "permission groups in its policies"),
        (resources, MAX_RESOURCES, "resources in its policies (each script or glob counts)"),
    ]
    if resources <= MAX_RESOURCES:
        counted += _counted_globs(scopes)
    return next(
        (f"the token has {count} {noun}; the limit is {limit}" for count, limit, noun in counted if count > limit),
        "",
    )


def _counted_globs(scopes: Iterable[Scope]) -> list[tuple[int, int, str]]:
    """Count the names and globs of scripts.

    Returns:
        Tuples of the count, its limit, and the noun for it.
    """
    globs = [name.removeprefix(SCRIPT_RESOURCE) for scope in scopes if isinstance(scope, dict) for name in scope]
    patterns = {glob for glob in globs if is_pattern(glob)}
    return [
        (sum(map(len, globs)), MAX_CHARACTERS, "characters in the names and globs of its scripts"),
        (len(patterns), MAX_PATTERNS, "different globs other than a name or a prefix followed by *"),
        (
            sum(map(len, patterns)),
            MAX_PATTERN_CHARACTERS,
            "characters in globs other than a name or a prefix followed by *",
        ),
    ]


def _is_resource(name: str, scope: Scope) -> bool:
    """Return whether a policy may contain this resource and scope."""
    if isinstance(scope, dict):
        patterns = [key.removeprefix(SCRIPT_RESOURCE) for key in scope if key.startswith(SCRIPT_RESOURCE)]
        are_valid = len(patterns) == len(scope) > 0 and all(
            _SCRIPT_PATTERN.fullmatch(pattern) for pattern in patterns
        )
        return are_valid and set(scope.values()) == {"*"} and _ACCOUNT_NAME.fullmatch(name) is not None
    return scope == "*" and bool(_ACCOUNT_NAME.fullmatch(name) or _USER_NAME.fullmatch(name))
