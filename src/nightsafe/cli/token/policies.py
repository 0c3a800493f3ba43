"""A token's policies, from the flags."""

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
    """The values of the flags.

    Attributes:
        permissions: names or IDs of permission groups; empty for all access.
        scripts: globs of scripts to allow; empty for the whole account.
        denied_permissions: names or IDs of denied permission groups; if empty while scripts are denied, all allowed
            permissions.
        denied_scripts: globs of scripts to deny; empty for the whole account.
    """

    permissions: Sequence[str] = ()
    scripts: Sequence[str] = ()
    denied_permissions: Sequence[str] = ()
    denied_scripts: Sequence[str] = ()


def confirm_unlimited(scopes: Scopes, *, all_access: bool) -> None:
    """Ask for a confirmation before creating a token without any limit. Without a terminal, refuse it.

    Raises:
        click.UsageError: if flags contradict each other.
        CommandError: if there is no terminal.
        click.Abort: if the answer is no.
    """
    if all_access:
        if scopes.permissions:
            raise click.UsageError("--all-access and --permission contradict each other; give one of them")
        return
    if any((scopes.permissions, scopes.scripts, scopes.denied_permissions, scopes.denied_scripts)):
        return
    confirm(
        "Create a token for everything that is possible in the account?",
        yes=False,
        advice="give --permission or --script, or --all-access for such a token",
    )


def policies_of(scopes: Scopes, account_id: str, user_id: str) -> list[Policy]:
    """Return the policies for an account and, for permissions about a user, for that user.

    Args:
        scopes: the values of the flags.
        account_id: ID of the account.
        user_id: ID of the user who owns the token; "" if the account owns it.

    Raises:
        NightsafeError: INVALID, for an impossible permission, script or combination.
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
    """Return the permission groups with these names, in any case, or IDs.

    Raises:
        NightsafeError: INVALID, if a name or ID is unknown.
    """
    by_name = {group.name.casefold(): group for group in PERMISSION_GROUPS.values()} | PERMISSION_GROUPS
    unknown = [name for name in names if name.casefold() not in by_name]
    if unknown:
        permission_names = ", ".join(group.name for group in PERMISSION_GROUPS.values())
        raise NightsafeError(
            Code.INVALID, f"there is no permission {unknown[0]!r}; the permissions are: {permission_names}"
        )
    return [by_name[name.casefold()] for name in names]


def condition_of(allowed: Iterable[str], denied: Iterable[str]) -> Condition:
    """Return the condition on the addresses that may use a token."""
    return Condition(RequestIp(tuple(allowed), tuple(denied)))


def check_ranges(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Check address ranges and return them unchanged."""
    for value in values:
        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError:
            raise click.BadParameter(f"{value!r} is not an address range; give one like 192.0.2.0/24") from None
    return values


def _policies(
    effect: str, groups: Iterable[PermissionGroup], scripts: Sequence[str], account_id: str, user_id: str
) -> list[Policy]:
    """Return the policies with one effect: for scripts, for the whole account, for the user."""
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
    """Return a permission's resource: the user, the named scripts, or the account."""
    if _ACCOUNT_SCOPE not in group.scopes:
        if not user_id:
            raise NightsafeError(
                Code.INVALID,
                f"{group.name!r} is a permission about a user, which an account cannot have; use --owner user",
            )
        return USER_RESOURCE + user_id, "*"
    if scripts and any(action.startswith(_OF_SCRIPTS) for action in group.actions):
        return ACCOUNT_RESOURCE + account_id, {SCRIPT_RESOURCE + glob: "*" for glob in scripts}
    return ACCOUNT_RESOURCE + account_id, "*"


def _check_scripts(globs: Iterable[str]) -> None:
    """Refuse a glob that cannot match the name of a script.

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
                Code.INVALID, f"{glob!r} cannot match a script; use lower-case letters, digits, - _ and * ? [ ]"
            ) from None
