"""Options of the commands that talk to a server. They are combined to a `Remote`."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeAlias

import click

from nightsafe.cli.completing import complete_scripts, complete_secrets
from nightsafe.cli.settings.options import data_option, is_account_id, is_text
from nightsafe.cli.settings.remote import SEAL_CHOICES, Remote
from nightsafe.cli.settings.sources import apply_environment
from nightsafe.cli.terminal.likely import add_suggestion
from nightsafe.cli.terminal.notices import print_notices
from nightsafe.client import NotFoundError

_FILE = click.Path(dir_okay=False, path_type=Path)
Command: TypeAlias = Callable[..., None]


def remote_options(command: Command) -> Command:
    """Add the options of a command about an account. The command gets one argument `remote` for them."""
    return _with_remote(command, _SERVER)


def script_options(command: Command) -> Command:
    """Add the options of a command about a script, likewise."""
    return _with_remote(command, (_SCRIPT, *_SERVER))


def write_options(command: Command) -> Command:
    """Add the options of a command that sends secrets, likewise."""
    return _with_remote(command, (_SCRIPT, *_SERVER, *_SEALING))


def _with_remote(command: Command, options: tuple[Callable[[Command], Command], ...]) -> Command:
    """Wrap a command: options about the server become one argument `remote`."""

    @wraps(command)
    def run(**arguments: Any) -> None:
        remote_values = {name: arguments.pop(name) for name in _REMOTE_OPTIONS if name in arguments}
        with Remote(**apply_environment(click.get_current_context(), remote_values)) as remote:
            print_notices()
            try:
                command(remote=remote, **arguments)
            except NotFoundError as error:
                add_suggestion(error, remote, arguments)
                raise

    decorated: Command = run
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def _check_name(_: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse a name that a URL path cannot contain."""
    if value in {"", ".", ".."} or (value is not None and not is_text(value)):
        raise click.BadParameter("this cannot be a name", param=parameter)
    return value


def _check_account(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Refuse a text that is not an account ID."""
    if value is not None and not is_account_id(value):
        raise click.BadParameter("give 32 lower-case hex digits")
    return value


_REMOTE_OPTIONS = ("url", "account_id", "script", "token_file", "data", "plain_http", "seal", "public_ring")
_SCRIPT = click.option(
    "--script",
    metavar="NAME",
    envvar="NIGHTSAFE_SCRIPT",
    show_envvar=True,
    callback=_check_name,
    shell_complete=complete_scripts,
    help="The script.  [default: the name in wrangler.json, wrangler.jsonc or wrangler.toml]",
)
_SERVER = (
    click.option(
        "--url",
        metavar="URL",
        envvar="NIGHTSAFE_URL",
        show_envvar=True,
        help="The server's URL.  [default: CLOUDFLARE_BASE_URL, else the server that serves --data]",
    ),
    click.option(
        "--account",
        "--account-id",
        "account_id",
        metavar="HEX32",
        envvar="CLOUDFLARE_ACCOUNT_ID",
        show_envvar=True,
        callback=_check_account,
        help="The account's ID.  [default: the only account of the credentials]",
    ),
    click.option(
        "--token-file",
        type=_FILE,
        envvar="NIGHTSAFE_TOKEN_FILE",
        show_envvar=True,
        help="File with an API token; mode 0600.  [default: CLOUDFLARE_API_TOKEN]",
    ),
    click.option(
        "--plain-http",
        is_flag=True,
        envvar="NIGHTSAFE_PLAIN_HTTP",
        show_envvar=True,
        help="Allow http:// to another machine.",
    ),
    data_option,
)
_SEALING = (
    click.option(
        "--seal",
        type=click.Choice(list(SEAL_CHOICES)),
        default="auto",
        envvar="NIGHTSAFE_SEAL",
        show_envvar=True,
        show_default=True,
        help="Seal values before sending them: auto does so if the server offers a ring; require fails without one.",
    ),
    click.option(
        "--public-ring",
        type=_FILE,
        envvar="NIGHTSAFE_PUBLIC_RING",
        show_envvar=True,
        help="File of the ring to seal to, copied here by hand.  [default: the ring first seen from the server]",
    ),
)
checked_name = _check_name
secret_argument = click.argument("secret_name", metavar="NAME", callback=_check_name, shell_complete=complete_secrets)
