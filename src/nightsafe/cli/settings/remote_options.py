"""Options of the commands that talk to a server. They are combined to a `Remote`."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeAlias

import click

from nightsafe.cli.completing import complete_scripts, complete_secrets
from nightsafe.cli.settings.options import FILE, is_account_id, is_text, local_data_option, option
from nightsafe.cli.settings.remote import SEAL_CHOICES, Remote
from nightsafe.cli.settings.sources import apply_environment
from nightsafe.cli.terminal.output import notify
from nightsafe.cli.terminal.suggestions import add_suggestion
from nightsafe.client import NotFoundError

Command: TypeAlias = Callable[..., None]


def remote_options(command: Command) -> Command:
    """Add the options of a command about an account. The command gets one argument `remote` for them."""
    return _with_remote(command, _SERVER)


def script_options(command: Command) -> Command:
    """Add the options of a command about a script. The command gets one argument `remote` for them."""
    return _with_remote(command, (_SCRIPT, *_SERVER))


def write_options(command: Command) -> Command:
    """Add the options of a command that sends secrets. The command gets one argument `remote` for them."""
    return _with_remote(command, (_SCRIPT, *_SERVER, *_SEALING))


def _with_remote(command: Command, options: tuple[Callable[[Command], Command], ...]) -> Command:
    """Wrap a command: options about the server become one argument `remote`."""

    @wraps(command)
    def run(**arguments: Any) -> None:
        remote_values = {name: arguments.pop(name) for name in _REMOTE_OPTIONS if name in arguments}
        with Remote(**apply_environment(click.get_current_context(), remote_values)) as remote:
            _print_notices()
            try:
                command(remote=remote, **arguments)
            except NotFoundError as error:
                add_suggestion(error, remote, arguments, has_option=_SCRIPT in options)
                raise

    decorated: Command = run
    for add in reversed(options):
        decorated = add(decorated)
    return decorated


class _NoticeHandler(logging.Handler):
    """A log handler that prints the client's notices in this program's form."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one notice."""
        notify(record.getMessage())


def _print_notices() -> None:
    """From now on, print the client's notices to stderr, for example that it remembers a ring."""
    log = logging.getLogger("nightsafe.client")
    if not log.handlers:
        log.addHandler(_NoticeHandler())
    log.setLevel(logging.INFO)
    log.propagate = False


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
_SCRIPT = option(
    "--script",
    "The script.  [default: the name in wrangler.json, wrangler.jsonc or wrangler.toml]",
    metavar="NAME",
    callback=_check_name,
    shell_complete=complete_scripts,
)
_SERVER = (
    option(
        "--url",
        "The server's URL.  [default: CLOUDFLARE_BASE_URL, else the server that serves --data]",
        metavar="URL",
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
    option("--token-file", "File with an API token; mode 0600.  [default: CLOUDFLARE_API_TOKEN]", type=FILE),
    option("--plain-http", "Allow http:// to another machine.", is_flag=True),
    local_data_option,
)
_SEALING = (
    option(
        "--seal",
        "Seal values before sending them: auto does so if the server offers a ring; require fails without one.",
        type=click.Choice(list(SEAL_CHOICES)),
        default="auto",
    ),
    option(
        "--public-ring",
        "File of the ring to seal to, copied here by hand.  [default: the ring first seen from the server]",
        type=FILE,
    ),
)
checked_name = _check_name
secret_argument = click.argument("secret_name", metavar="NAME", callback=_check_name, shell_complete=complete_secrets)
