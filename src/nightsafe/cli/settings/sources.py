"""The order of sources: variables of the official clients override settings files, although their names differ."""

from typing import Any

import click
from click.core import ParameterSource

from nightsafe.cli.settings.server_address import has_credentials_in_environment, server_in_environment


def named_by_environment(ctx: click.Context, named: dict[str, Any]) -> dict[str, Any]:
    """Drop settings of a file that a variable of the official clients overrides.

    Args:
        ctx: the command's context.
        named: the options about a server, by name.

    Returns:
        The remaining options, and `unnamed`: the source of the server's address if neither a flag nor a variable
        named it, else "".
    """
    filed = {name: named[name] for name in ("url", "token_file") if _is_filed(ctx, name)}
    kept = without_overruled(filed)
    named = {**named, **{name: kept.get(name) for name in filed}}
    return {**named, "unnamed": _unnamed(ctx, named)}


def without_overruled(filed: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a file that no variable of the official clients overrides."""
    gone = {"url"} if server_in_environment() else set()
    gone |= {"token_file"} if has_credentials_in_environment() else set()
    return {name: setting for name, setting in filed.items() if name not in gone}


def _unnamed(ctx: click.Context, named: dict[str, Any]) -> str:
    """Return the source of the server's address if neither a flag nor a variable named it, else ""."""
    if named.get("url"):
        return "named by the settings file" if _is_filed(ctx, "url") else ""
    if server_in_environment() or ctx.get_parameter_source("data") in _SAID:
        return ""
    return f"the one that serves {named['data']}"


_SAID = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


def _is_filed(ctx: click.Context, name: str) -> bool:
    """Return whether a setting comes from a settings file."""
    return ctx.get_parameter_source(name) is ParameterSource.DEFAULT_MAP
