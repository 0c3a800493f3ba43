"""Where settings came from: what the environment says wins over every file, whatever its name there."""

from typing import Any

import click
from click.core import ParameterSource

from nightsafe.cli.server_address import has_credentials_in_environment, server_in_environment


def named_by_environment(ctx: click.Context, named: dict[str, Any]) -> dict[str, Any]:
    """The options about a server, without what a file says and a variable of the official clients says otherwise.

    Args:
        ctx: of the command.
        named: its options by name; gets `unnamed`, where it was read which server it is, when neither a flag nor a
            variable says so.
    """
    if _is_filed(ctx, "url") and server_in_environment():
        named = {**named, "url": None}
    if _is_filed(ctx, "token_file") and has_credentials_in_environment():
        named = {**named, "token_file": None}
    return {**named, "unnamed": _unnamed(ctx, named)}


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
