"""What a token may do, from the flags that say so."""

import ipaddress
from collections.abc import Iterable, Sequence

import click
from msgspec import Struct

from nightsafe.cli.terminal.confirm import confirm
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.conditions import Condition, RequestIp
from nightsafe.identity.permissions import ALL_ACCESS, PERMISSION_GROUPS, PermissionGroup
from nightsafe.identity.policy import (
    ACCOUNT_RESOURCE,
    SCRIPT_RESOURCE,
    USER_RESOURCE,
    GroupRef,
    Policy,
    Scope,
    check_policies,
)

_ACCOUNT_SCOPE = "com.cloudflare.api.account"
_OF_SCRIPTS = ("scripts.", "secrets.")


class Scopes(Struct, frozen=True, kw_only=True):
    """The flags, as they came.

    Attributes:
        permissions: names or ids of permission groups; none for all access.
        scripts: globs, of which scripts; none for the whole account.
        denied_permissions: names or ids of what is denied; none, where scripts are denied, for all that is allowed.
        denied_scripts: globs, where it is denied; none for the whole account.
    """

    permissions: Sequence[str] = ()
    scripts: Sequence[str] = ()
    denied_permissions: Sequence[str] = ()
    denied_scripts: Sequence[str] = ()


def need_limits(scopes: Scopes, *, all_access: bool) -> None:
    """Refuse a token for everything that nobody has said is meant; at a terminal, ask.

    Raises:
        click.UsageError: for flags that contradict each other.
        CommandError: where there is nobody to ask.
        click.Abort: when it is not meant.
    """
    if all_access:
        if scopes.permissions:
            raise click.UsageError("--all-access and --permission contradict each other; give one of them")
        return
    if any((scopes.permissions, scopes.scripts, scopes.denied_permissions, scopes.denied_scripts)):
        return
    confirm(
        "Make a token for all that can be done in the account?",
        yes=False,
        unasked="give --permission or --script, or --all-access if that is meant",
    )


def policies_of(scopes: Scopes, account_id: str, user_id: str) -> list[Policy]:
    """Policies for an account and, where a permission is about a user, for that user.

    Args:
        scopes: what is wanted.
        account_id: the account.
        user_id: the user who owns the token; "" when the account does.

    Raises:
        NightsafeError: INVALID, for a permission, script or combination that cannot be.
    """
    _check_scripts((*scopes.scripts, *scopes.denied_scripts))
    allowed = groups_of(scopes.permissions) if scopes.permissions else [PERMISSION_GROUPS[ALL_ACCESS]]
    policies = _policies("allow", allowed, scopes.scripts, account_id, user_id)
    if scopes.denied_permissions or scopes.denied_scripts:
        denied = groups_of(scopes.denied_permissions) if scopes.denied_permissions else allowed
        policies += _policies("deny", denied, scopes.denied_scripts, account_id, user_id)
    check_policies(policies)
    return policies


def groups_of(names: Iterable[str]) -> list[PermissionGroup]:
    """The permission groups with these names, whatever their case, or ids.

    Raises:
        NightsafeError: INVALID, when there is none of a name.
    """
    by_name = {group.name.casefold(): group for group in PERMISSION_GROUPS.values()} | PERMISSION_GROUPS
    unknown = [name for name in names if name.casefold() not in by_name]
    if unknown:
        known = ", ".join(group.name for group in PERMISSION_GROUPS.values())
        raise NightsafeError(Code.INVALID, f"there is no permission {unknown[0]!r}; there are: {known}")
    return [by_name[name.casefold()] for name in names]


def condition_of(allowed: Iterable[str], denied: Iterable[str]) -> Condition:
    """From where a token may be used."""
    return Condition(RequestIp(tuple(allowed), tuple(denied)))


def check_ranges(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Address ranges as they were given, if all are such."""
    for value in values:
        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError:
            raise click.BadParameter(f"{value!r} is no address range; give one as 192.0.2.0/24") from None
    return values


def _policies(
    effect: str, groups: Iterable[PermissionGroup], scripts: Sequence[str], account_id: str, user_id: str
) -> list[Policy]:
    """Policies of one effect: of scripts, of the account as a whole, of the user."""
    by_resource: dict[str, tuple[Scope, list[PermissionGroup]]] = {}
    for group in groups:
        name, scope = _resource_of(group, scripts, account_id, user_id)
        kind = name + ("" if scope == "*" else "/scripts")
        by_resource.setdefault(kind, (scope, []))[1].append(group)
    return [
        Policy(
            effect="deny" if effect == "deny" else "allow",
            permission_groups=tuple(GroupRef(group.id) for group in members),
            resources={kind.removesuffix("/scripts"): scope},
        )
        for kind, (scope, members) in by_resource.items()
    ]


def _resource_of(group: PermissionGroup, scripts: Sequence[str], account_id: str, user_id: str) -> tuple[str, Scope]:
    """What a permission is about: the user, scripts where some are named, or the account."""
    if _ACCOUNT_SCOPE not in group.scopes:
        if not user_id:
            raise NightsafeError(
                Code.INVALID, f"{group.name!r} is about a user, which an account is not; use --owner user"
            )
        return USER_RESOURCE + user_id, "*"
    if scripts and any(action.startswith(_OF_SCRIPTS) for action in group.actions):
        return ACCOUNT_RESOURCE + account_id, {SCRIPT_RESOURCE + glob: "*" for glob in scripts}
    return ACCOUNT_RESOURCE + account_id, "*"


def _check_scripts(globs: Iterable[str]) -> None:
    """Refuse a glob that can match no script's name.

    Raises:
        NightsafeError: INVALID.
    """
    for glob in globs:
        scope: Scope = {SCRIPT_RESOURCE + glob: "*"}
        policy = Policy(
            effect="allow", permission_groups=(GroupRef(ALL_ACCESS),), resources={f"{ACCOUNT_RESOURCE}*": scope}
        )
        try:
            check_policies([policy])
        except NightsafeError:
            raise NightsafeError(
                Code.INVALID, f"{glob!r} can be no script; use lower-case letters, digits, - _ and * ? [ ]"
            ) from None
