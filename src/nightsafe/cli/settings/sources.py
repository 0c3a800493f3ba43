"""Where settings came from: what the environment says wins over every file, whatever its name there."""

from typing import Any

import click
from click.core import ParameterSource

from nightsafe.cli.settings.server_address import has_credentials_in_environment, server_in_environment


def named_by_environment(ctx: click.Context, named: dict[str, Any]) -> dict[str, Any]:
    """The options about a server, without what a file says and a variable of the official clients says otherwise.

    Args:
        ctx: of the command.
        named: its options by name; gets `unnamed`, where it was read which server it is, when neither a flag nor a
            variable says so.
    """
    filed = {name: named[name] for name in ("url", "token_file") if _is_filed(ctx, name)}
    kept = without_overruled(filed)
    named = {**named, **{name: kept.get(name) for name in filed}}
    return {**named, "unnamed": _unnamed(ctx, named)}


def without_overruled(filed: dict[str, Any]) -> dict[str, Any]:
    """What a file says, without what a variable of the official clients says otherwise."""
    gone = {"url"} if server_in_environment() else set()
    gone |= {"token_file"} if has_credentials_in_environment() else set()
    return {name: setting for name, setting in filed.items() if name not in gone}


def _unnamed(ctx: click.Context, named: dict[str, Any]) -> str:
    """Where it was read which server it is; nothing when a flag or a variable says so."""
    if named.get("url"):
        return "named by the settings file" if _is_filed(ctx, "url") else ""
    if server_in_environment() or ctx.get_parameter_source("data") in _SAID:
        return ""
    return f"the one that serves {named['data']}"


_SAID = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


def _is_filed(ctx: click.Context, name: str) -> bool:
    """Whether a setting stands in a file, and nowhere that counts for more."""
    return ctx.get_parameter_source(name) is ParameterSource.DEFAULT_MAP
