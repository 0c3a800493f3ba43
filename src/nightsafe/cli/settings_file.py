"""The file of settings: what stands in it is offered to every command that has an option of that name."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import click

from nightsafe.cli.tree import TREE, Branch, Leaf, Node

CLIENT_SETTINGS: Final = frozenset(
    {"account_id", "data", "fingerprint_key_file", "plain_http", "script", "seal", "token_file", "url"}
)
"""What a command that talks to a server takes from the file: where and who, never what to do."""

SERVER_SETTINGS: Final = frozenset(
    {
        "accept_undeliverable", "account_id", "account_ids", "api", "api_ca", "as_json", "auth_failures", "cells",
        "client_cert", "client_key", "data", "delivered", "deny_permission", "deny_script", "domain", "email",
        "expires_in", "expires_on", "host", "ip", "keep_alive", "listen", "log_format", "marks", "max_loaded",
        "max_variables", "memory_limit", "name", "not_before", "not_ip", "owner", "permissions", "plain_http", "port",
        "private_ring", "probes", "rate_limit", "rate_window", "reach_private", "script_header", "scripts",
        "service_key", "sockets", "tls_cert", "tls_client_ca", "tls_key", "token_fd", "token_file", "token_id",
        "trusted_proxy", "upload_memory", "verify_keys", "worker_output", "workers_domain",
    }
)  # fmt: skip
"""What the operator's commands take; a test holds that it is what they have."""

_OF_CLIENT: Final = "cli"


def default_map(config: Path | None) -> dict[str, Any]:
    """The file's settings, as click offers them to commands.

    Raises:
        click.ClickException: when the file cannot be read, or has a setting that there is not.
    """
    path = config or Path("nightsafe.toml")
    if config is None and not path.exists():
        return {}
    settings = _read(path)
    unknown = sorted(settings.keys() - CLIENT_SETTINGS - SERVER_SETTINGS)
    if unknown:
        raise click.ClickException(f"{path} has no such setting: {', '.join(unknown)}")
    for name, value in settings.items():
        if any("\0" in one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)):
            raise click.ClickException(f"{path}: {name} holds a character that no path and no name can hold")
    return _offered(TREE, settings)


def _read(path: Path) -> dict[str, Any]:
    """The file's content."""
    import tomllib  # noqa: PLC0415 - most calls have no file

    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise click.ClickException(f"{path} is not TOML") from None


def _offered(nodes: Mapping[str, Node], settings: dict[str, Any]) -> dict[str, Any]:
    """The settings below every command's name."""
    return {
        name: _offered(node.children, settings) if isinstance(node, Branch) else _of_leaf(node, settings)
        for name, node in nodes.items()
    }


def _of_leaf(leaf: Leaf, settings: dict[str, Any]) -> dict[str, Any]:
    """What one command, or each of a group's, is offered."""
    chosen = _only(settings, CLIENT_SETTINGS if leaf.extra == _OF_CLIENT else SERVER_SETTINGS)
    return dict.fromkeys(leaf.children, chosen) if leaf.children else chosen


def _only(settings: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Those of some names."""
    return {name: settings[name] for name in names if name in settings}
