"""What every command that talks to a server shares: its options, and the client that is made of them."""

import os
from collections.abc import Callable
from functools import cached_property, wraps
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias, TypedDict

import click

from nightsafe.cli.completing import complete_scripts, complete_secrets
from nightsafe.cli.likely import note_likely
from nightsafe.cli.notices import say_notices
from nightsafe.cli.options import data_option, is_account_id, is_text
from nightsafe.cli.output import tell
from nightsafe.cli.refusal import CommandError
from nightsafe.cli.server_address import find_server
from nightsafe.cli.sources import named_by_environment
from nightsafe.cli.wrangler_config import configured_script
from nightsafe.client import Nightsafe, NotFoundError
from nightsafe.client.settings import PUBLIC_RING, Shown, token_alone

_FILE = click.Path(dir_okay=False, path_type=Path)
_SEAL: dict[str, bool | Literal["require"]] = {"auto": True, "never": False, "require": "require"}
Command: TypeAlias = Callable[..., None]


class ScriptPlace(TypedDict):
    """Account and script, as calls take them."""

    account_id: str
    script_name: str


class Remote:
    """A server, an account and a script, each asked for or looked up when it is first needed.

    Args:
        url, account_id, script, token_file, data, plain_http, seal, public_ring: what the options say.
        unnamed: where it was read which server it is, when neither a flag nor a variable says so.
    """

    def __init__(  # noqa: PLR0913 - the options
        self,
        *,
        url: str | None,
        account_id: str | None,
        token_file: Path | None,
        data: Path,
        plain_http: bool,
        script: str | None = None,
        seal: str = "auto",
        public_ring: Path | None = None,
        unnamed: str = "",
    ) -> None:
        self._named = (url, token_file, data)
        self.plain_http = plain_http
        self._account_id = account_id
        self._script = script
        self._seal = _SEAL[seal]
        self._public_ring = public_ring
        self._unnamed = unnamed
        self._made = False

    @cached_property
    def client(self) -> Nightsafe:
        """The client.

        Raises:
            CommandError: when nothing says which server, or who asks.
        """
        url, token_file, data = self._named
        server = find_server(url, token_file, data, plain_http=self.plain_http)
        if self._unnamed:
            tell(f"the server is {server.url} ({self._unnamed})")
        ring = self._public_ring or (None if PUBLIC_RING in os.environ else server.public_ring)
        try:
            who: Shown = {} if server.token is None else token_alone(server.token)
            client = Nightsafe(base_url=server.url, seal=self._seal, public_ring=ring, **who)
        except ValueError as error:
            raise CommandError(str(error)) from None
        self._made = True
        return client

    @cached_property
    def account_id(self) -> str:
        """The account that was named, or the only one that the credentials see.

        Raises:
            CommandError: when there is none, or several.
        """
        if self._account_id is not None:
            return self._account_id
        accounts = list(self.client.accounts.list())
        if len(accounts) == 1:
            return accounts[0].id
        if not accounts:
            raise CommandError("the credentials see no account; give --account or CLOUDFLARE_ACCOUNT_ID")
        seen = ", ".join(f"{one.id} ({one.name})" for one in accounts)
        raise CommandError(f"the credentials see several accounts; give one of them with --account: {seen}")

    @cached_property
    def script(self) -> str:
        """The script that was named, or the one whose wrangler configuration is here.

        Raises:
            CommandError: when there is neither.
        """
        name = self._script or configured_script(Path.cwd())
        if name:
            return name
        raise CommandError("no script is named; give --script, or run this where a wrangler configuration is")

    @property
    def place(self) -> ScriptPlace:
        """Where the script is, as keyword arguments."""
        return {"account_id": self.account_id, "script_name": self.script}

    def __enter__(self) -> Self:
        """Itself; its connections are closed at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what was opened."""
        if self._made:
            self.client.close()


def remote_options(command: Command) -> Command:
    """The options of a command about an account, which gets a `remote` for them."""
    return _with_remote(command, _SERVER)


def script_options(command: Command) -> Command:
    """The same for a command about a script."""
    return _with_remote(command, (_SCRIPT, *_SERVER))


def write_options(command: Command) -> Command:
    """The same for a command that sends secrets."""
    return _with_remote(command, (_SCRIPT, *_SERVER, *_SEALING))


def _with_remote(command: Command, options: tuple[Callable[[Command], Command], ...]) -> Command:
    """A command whose options about the server come as one."""

    @wraps(command)
    def run(**given: Any) -> None:
        named = {name: given.pop(name) for name in _NAMES if name in given}
        with Remote(**named_by_environment(click.get_current_context(), named)) as remote:
            say_notices()
            try:
                command(remote=remote, **given)
            except NotFoundError as error:
                note_likely(error, remote, given)
                raise

    decorated: Command = run
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def _check_name(_: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse what no path can hold."""
    if value in {"", ".", ".."} or (value is not None and not is_text(value)):
        raise click.BadParameter("this can be no name", param=parameter)
    return value


def _check_account(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Refuse what is no account's id."""
    if value is not None and not is_account_id(value):
        raise click.BadParameter("give 32 lower-case hex digits")
    return value


_NAMES = ("url", "account_id", "script", "token_file", "data", "plain_http", "seal", "public_ring")
_SCRIPT = click.option(
    "--script",
    metavar="NAME",
    envvar="NIGHTSAFE_SCRIPT",
    show_envvar=True,
    callback=_check_name,
    shell_complete=complete_scripts,
    help="The script.  [default: the name in wrangler.json(c) or wrangler.toml]",
)
_SERVER = (
    click.option(
        "--url",
        metavar="URL",
        envvar="NIGHTSAFE_URL",
        show_envvar=True,
        help="The server.  [default: CLOUDFLARE_BASE_URL, else the one that serves --data]",
    ),
    click.option(
        "--account",
        "--account-id",
        "account_id",
        metavar="HEX32",
        envvar="CLOUDFLARE_ACCOUNT_ID",
        show_envvar=True,
        callback=_check_account,
        help="The account.  [default: the only one]",
    ),
    click.option(
        "--token-file",
        type=_FILE,
        envvar="NIGHTSAFE_TOKEN_FILE",
        show_envvar=True,
        help="A file of mode 0600 with an API token.  [default: CLOUDFLARE_API_TOKEN]",
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
        type=click.Choice(list(_SEAL)),
        default="auto",
        envvar="NIGHTSAFE_SEAL",
        show_envvar=True,
        show_default=True,
        help="Whether values are sealed before they are sent: where the server has a ring, never, or at all costs.",
    ),
    click.option(
        "--public-ring",
        type=_FILE,
        envvar="NIGHTSAFE_PUBLIC_RING",
        show_envvar=True,
        help="The ring to seal to, brought by hand.  [default: the one that was first seen of the server]",
    ),
)
checked_name = _check_name
secret_argument = click.argument("secret_name", metavar="NAME", callback=_check_name, shell_complete=complete_secrets)
