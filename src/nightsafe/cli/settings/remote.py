"""The server, account and script that a command talks to."""

import os
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypedDict

from nightsafe.cli.settings.server_address import find_server
from nightsafe.cli.settings.wrangler_config import configured_script
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import notify
from nightsafe.client import Nightsafe
from nightsafe.client.settings import PUBLIC_RING, CredentialArguments, only_token

SEAL_CHOICES: dict[str, bool | Literal["require"]] = {"auto": True, "never": False, "require": "require"}


class ScriptArguments(TypedDict):
    """The account and script, as keyword arguments of the client."""

    account_id: str
    script_name: str


class Remote:
    """A server, an account and a script. Each is looked up when it is first needed.

    Args:
        url, account_id, script, token_file, data, plain_http, seal, public_ring: values of the options.
        address_source: source of the server's address if neither a flag nor a variable named it; else "".
    """

    def __init__(  # noqa: PLR0913 - one for each option
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
        address_source: str = "",
    ) -> None:
        self._address_options = (url, token_file, data)
        self.plain_http = plain_http
        self._account_id = account_id
        self._script = script
        self._seal = SEAL_CHOICES[seal]
        self._public_ring = public_ring
        self._address_source = address_source
        self._opened = False

    @cached_property
    def client(self) -> Nightsafe:
        """The client.

        Raises:
            CommandError: if no server or no credentials are given.
        """
        url, token_file, data = self._address_options
        server = find_server(url, token_file, data, plain_http=self.plain_http)
        if self._address_source:
            notify(f"the server is {server.url} ({self._address_source})")
        ring = self._public_ring or (None if PUBLIC_RING in os.environ else server.public_ring)
        try:
            credentials: CredentialArguments = {} if server.token is None else only_token(server.token)
            client = Nightsafe(base_url=server.url, seal=self._seal, public_ring=ring, **credentials)
        except ValueError as error:
            raise CommandError(str(error)) from None
        self._opened = True
        return client

    @cached_property
    def account_id(self) -> str:
        """The ID of the named account, or of the only account that the credentials can access.

        Raises:
            CommandError: if no account is named and the credentials can access none or several.
        """
        if self._account_id is not None:
            return self._account_id
        accounts = list(self.client.accounts.list())
        if len(accounts) == 1:
            return accounts[0].id
        if not accounts:
            raise CommandError("the credentials can access no account; give --account or set CLOUDFLARE_ACCOUNT_ID")
        account_list = ", ".join(f"{account.id} ({account.name})" for account in accounts)
        raise CommandError(f"the credentials can access several accounts; choose one with --account: {account_list}")

    @cached_property
    def script(self) -> str:
        """The name of the script: from the option, or from the wrangler configuration in the working directory.

        Raises:
            CommandError: if there is neither.
        """
        name = self._script or configured_script(Path.cwd())
        if name:
            return name
        raise CommandError(
            "no script is named; give --script, or run this in a directory with a wrangler configuration"
        )

    @property
    def script_arguments(self) -> ScriptArguments:
        """The account and script, as keyword arguments."""
        return {"account_id": self.account_id, "script_name": self.script}

    def __enter__(self) -> Self:
        """Return this object; the end of the block closes its connections."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client if one was opened."""
        if self._opened:
            self.client.close()
