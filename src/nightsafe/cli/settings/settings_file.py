"""The file of settings: what stands in it is offered to every command that has an option of that name."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import click

from nightsafe.cli.terminal.output import tell
from nightsafe.cli.tree import TREE, Branch, Leaf, Node
from nightsafe.user_folder import trouble_with, user_folder

CLIENT_SETTINGS: Final = frozenset(
    {
        "account_id", "data", "fingerprint_key_file", "plain_http", "public_ring", "script", "seal", "token_file",
        "url",
    }
)  # fmt: skip
"""What a command that talks to a server takes from the file: where and who, never what to do."""

SERVER_SETTINGS: Final = frozenset(
    {
        "accept_undeliverable", "account_id", "account_ids", "api", "api_ca", "as_json", "auth_failures", "cells",
        "client_cert", "client_key", "data", "delivered", "deny_permission", "deny_script", "domain", "email",
        "expires_in", "expires_on", "host", "ip", "keep_alive", "listen", "log_format", "marks", "max_loaded",
        "max_variables", "memory_limit", "name", "not_before", "not_ip", "owner", "permissions", "plain_http", "port",
        "private_ring", "probes", "proxy_header", "rate_limit", "rate_window", "reach", "reach_never",
        "reach_private", "script_header", "scripts", "service_key", "sockets", "tls_cert", "tls_client_ca",
        "tls_key", "token_fd", "token_file", "token_id", "trusted_proxy", "upload_memory", "verify_keys",
        "worker_output", "workers_domain",
    }
)  # fmt: skip
"""What the operator's commands take; a test holds that it is what they have."""

OF_A_FOLDER: Final = frozenset(
    {"as_json", "keep_alive", "log_format", "max_loaded", "max_variables", "memory_limit", "script", "upload_memory"}
)
"""What `nightsafe.toml` in the working directory may say, which may be anybody's: which script the folder is about,
what output looks like, and how much room there is. Never where to, with what, for whom, or whether sealed."""

_OF_CLIENT: Final = "cli"
_MOST_BYTES: Final = 1 << 20
_NAME: Final = "nightsafe.toml"


def default_map(config: Path | None, *, quiet: bool = False) -> dict[str, Any]:
    """The settings of files, as click offers them to commands.

    A file that was named says everything. Else the user's own does, in the user's configuration directory, and what
    it does not say may stand in the working directory, as far as a file there may say it.

    Args:
        config: the file that was named.
        quiet: whether what is not taken is passed over without a word.

    Raises:
        click.ClickException: when a file cannot be read, has a setting that there is not, or is to be believed and
            can be written by others.
    """
    if config is not None:
        return _offered(TREE, _checked(config))
    folder = Path(_NAME)
    found = _checked(folder) if folder.is_file() else {}  # a pipe there would never end
    refused = sorted(found.keys() - OF_A_FOLDER)
    if refused and not quiet:
        tell(
            f"{_NAME} in this directory may not say {', '.join(refused)}: passed over. If the file is yours: "
            f"nightsafe --config {_NAME} …"
        )
    return _offered(TREE, {**_own(), **_only(found, OF_A_FOLDER)})


def _own() -> dict[str, Any]:
    """What stands in the user's own file; nothing where there is none."""
    folder = user_folder()
    path = None if folder is None else folder / _NAME
    try:
        if path is None or not path.exists():
            return {}
        with path.open("rb") as file:
            wrong = trouble_with(path, file.fileno())
    except PermissionError:
        return {}  # in a home that is another user's
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}") from None
    if wrong is not None:
        raise click.ClickException(f"{path} is not used: {wrong}")
    return _checked(path)


def _checked(path: Path) -> dict[str, Any]:
    """A file's settings, all of which there are.

    Raises:
        click.ClickException: when it cannot be read, or has a setting that there is not.
    """
    settings = _read(path)
    unknown = sorted(settings.keys() - CLIENT_SETTINGS - SERVER_SETTINGS)
    if unknown:
        raise click.ClickException(f"{path} has no such setting: {', '.join(unknown)}")
    for name, value in settings.items():
        if any("\0" in one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)):
            raise click.ClickException(f"{path}: {name} holds a character that no path and no name can hold")
    return settings


def _read(path: Path) -> dict[str, Any]:
    """The file's content."""
    import tomllib  # noqa: PLC0415 - most calls have no file

    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise click.ClickException(f"{path} has more than {_MOST_BYTES} bytes")
        return tomllib.loads(content.decode())
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
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
