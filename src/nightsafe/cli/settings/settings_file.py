"""The settings file. Every command with an option of a setting's name takes the setting as its default."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import click

from nightsafe.cli.terminal.output import notify
from nightsafe.cli.tree import TREE, Branch, Leaf, Node
from nightsafe.user_folder import untrusted_file_reason, user_folder

CLIENT_SETTINGS: Final = frozenset(
    {
        "account_id", "approver_key", "approvers", "data", "fingerprint_key_file", "plain_http", "public_ring",
        "script", "seal", "token_file", "url",
    }
)  # fmt: skip
"""The settings of commands that talk to a server: the server and the credentials, never the command's action."""

SERVER_SETTINGS: Final = frozenset(
    {
        "accept_undeliverable", "account_id", "account_ids", "api", "api_ca", "approvers", "as_json", "audit_archive",
        "audit_keep", "audit_reads",
        "audit_sink", "audit_sink_ca", "audit_sink_token",
        "auth_failures", "cells", "client_cert", "client_key", "data", "delivered", "deny_permission", "deny_script",
        "domain", "email", "expires_in", "expires_on", "host", "ip", "keep_alive", "listen", "log_format", "marks",
        "max_loaded",
        "max_variables", "memory_limit", "name", "not_before", "not_ip", "owner", "permissions", "plain_http", "port",
        "private_ring", "probes", "proxy_header", "rate_limit", "rate_window", "reach", "reach_never",
        "reach_private", "require_witness", "script_header", "scripts", "service_key", "sockets", "store",
        "store_patience", "tls_cert",
        "tls_client_ca", "tls_key", "token_fd", "token_file", "token_id", "trusted_proxy", "upload_memory",
        "verify_keys", "witness", "witness_keys", "worker_output", "workers", "workers_domain",
    }
)  # fmt: skip
"""The settings of the operator's commands. A test compares them with the options of these commands."""

FOLDER_SETTINGS: Final = frozenset(
    {"as_json", "keep_alive", "log_format", "max_loaded", "max_variables", "memory_limit", "script", "upload_memory"}
)
"""The settings that `nightsafe.toml` in the working directory may have, which anybody may have written: the folder's
script, the form of the output, and sizes. Never a server, file, credential or account, nor whether to seal values."""

_CLIENT_EXTRA: Final = "cli"
_MAX_BYTES: Final = 1 << 20
_NAME: Final = "nightsafe.toml"


def default_map(config: Path | None, *, quiet: bool = False) -> dict[str, Any]:
    """Return the settings of the files, in the form of click's `default_map`.

    A file named by `--config` is the only source. Otherwise the user's own file in their configuration directory
    counts, and then the permitted settings of a file in the working directory.

    Args:
        config: the file named by `--config`, or None.
        quiet: whether to ignore settings without a warning.

    Raises:
        click.ClickException: if a file cannot be read or has an unknown setting, or if others can write to the user's
            own file.
    """
    if config is not None:
        return _settings_by_command(TREE, _read_checked(config))
    folder = Path(_NAME)
    folder_settings = _read_checked(folder) if folder.is_file() else {}  # reading a pipe could block for ever
    refused = sorted(folder_settings.keys() - FOLDER_SETTINGS)
    if refused and not quiet:
        notify(
            f"ignored these settings of {_NAME} in this directory: {', '.join(refused)}. If the file is yours, run: "
            f"nightsafe --config {_NAME} …"
        )
    return _settings_by_command(TREE, {**_user_settings(), **_select(folder_settings, FOLDER_SETTINGS)})


def _user_settings() -> dict[str, Any]:
    """Return the settings of the user's own file; empty if there is no such file."""
    folder = user_folder()
    path = None if folder is None else folder / _NAME
    try:
        if path is None or not path.exists():
            return {}
        with path.open("rb") as file:
            problem = untrusted_file_reason(path, file.fileno())
    except PermissionError:
        return {}  # the home directory belongs to another user
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}") from None
    if problem is not None:
        raise click.ClickException(f"{path} is not used: {problem}")
    return _read_checked(path)


def _read_checked(path: Path) -> dict[str, Any]:
    """Read a file's settings and check their names.

    Raises:
        click.ClickException: if the file cannot be read or has an unknown setting.
    """
    settings = _read(path)
    unknown = sorted(settings.keys() - CLIENT_SETTINGS - SERVER_SETTINGS)
    if unknown:
        raise click.ClickException(f"{path} has unknown settings: {', '.join(unknown)}")
    for name, value in settings.items():
        if any("\0" in item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)):
            raise click.ClickException(
                f"{path}: {name} contains a NUL character, which no path and no name can contain"
            )
    return settings


def _read(path: Path) -> dict[str, Any]:
    """Read and parse a file."""
    import tomllib  # most calls have no settings file

    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise click.ClickException(f"{path} has more than {_MAX_BYTES} bytes")
        return tomllib.loads(content.decode())
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
        raise click.ClickException(f"{path} is not TOML") from None


def _settings_by_command(nodes: Mapping[str, Node], settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings for each command, by name."""
    return {
        name: _settings_by_command(node.children, settings)
        if isinstance(node, Branch)
        else _leaf_settings(node, settings)
        for name, node in nodes.items()
    }


def _leaf_settings(leaf: Leaf, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings for one command, or for each command of a group."""
    chosen = _select(settings, CLIENT_SETTINGS if leaf.extra == _CLIENT_EXTRA else SERVER_SETTINGS)
    return dict.fromkeys(leaf.children, chosen) if leaf.children else chosen


def _select(settings: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the settings that have these names."""
    return {name: settings[name] for name in names if name in settings}
