"""The order of sources: variables of the official clients override settings files, although their names differ."""

from typing import Any

import click
from click.core import ParameterSource

from nightsafe.cli.settings.server_address import has_credentials_in_environment, server_in_environment


def apply_environment(ctx: click.Context, options: dict[str, Any]) -> dict[str, Any]:
    """Drop settings of a file that a variable of the official clients overrides.

    Args:
        ctx: the command's context.
        options: the options about a server, by name.

    Returns:
        The remaining options, and `address_source`: the source of the server's address if neither a flag nor a
        variable named it, else "".
    """
    file_settings = {name: options[name] for name in ("url", "token_file") if _is_from_file(ctx, name)}
    kept = drop_overridden(file_settings)
    options = {**options, **{name: kept.get(name) for name in file_settings}}
    return {**options, "address_source": _address_source(ctx, options)}


def drop_overridden(file_settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a file that no variable of the official clients overrides."""
    overridden = {"url"} if server_in_environment() else set()
    overridden |= {"token_file"} if has_credentials_in_environment() else set()
    return {name: setting for name, setting in file_settings.items() if name not in overridden}


def _address_source(ctx: click.Context, options: dict[str, Any]) -> str:
    """Return the source of the server's address if neither a flag nor a variable named it, else ""."""
    if options.get("url"):
        return "named by the settings file" if _is_from_file(ctx, "url") else ""
    if server_in_environment() or ctx.get_parameter_source("data") in _EXPLICIT:
        return ""
    return f"the one that serves {options['data']}"


_EXPLICIT = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


def _is_from_file(ctx: click.Context, name: str) -> bool:
    """Return whether a setting comes from a settings file."""
    return ctx.get_parameter_source(name) is ParameterSource.DEFAULT_MAP
