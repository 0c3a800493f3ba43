# Made from aio/resources.py by tools/unasync.py: edit that one.
"""The resources that only lead to others, and the small ones."""

from functools import cached_property
from typing import Literal, Unpack

from nightsafe.client import calls
from nightsafe.client.blocking.dispatched_secrets import DispatchedSecrets
from nightsafe.client.blocking.listing import listing
from nightsafe.client.blocking.page import ArrayPage
from nightsafe.client.blocking.response import raw
from nightsafe.client.blocking.scripts import Scripts, ScriptsWithRawResponse
from nightsafe.client.blocking.sender import RawSender, Sender
from nightsafe.client.call import given
from nightsafe.client.model import Account, TokenStatus, User
from nightsafe.client.not_given import Omit, RequestOptions, omit


class _Resource:
    """Something below the client.

    Args:
        sender: what sends.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def _raw_sender(self) -> RawSender:
        """What sends raw with the same settings."""
        return RawSender(self._sender.settings, self._sender.transport, self._sender.rings)


class Workers(_Resource):
    """`client.workers`."""

    @cached_property
    def scripts(self) -> Scripts:
        """The Workers of an account."""
        return Scripts(self._sender)

    @cached_property
    def with_raw_response(self) -> "WorkersWithRawResponse":
        """The same calls, with the answers as they came."""
        return WorkersWithRawResponse(self.scripts.with_raw_response)


class WorkersWithRawResponse:
    """`Workers` with the answers as they came.

    Args:
        scripts: the raw scripts.
    """

    def __init__(self, scripts: ScriptsWithRawResponse) -> None:
        self.scripts = scripts


class DispatchedScripts(_Resource):
    """`client.workers_for_platforms.dispatch.namespaces.scripts`."""

    @cached_property
    def secrets(self) -> DispatchedSecrets:
        """Their secret bindings."""
        return DispatchedSecrets(self._sender)


class Namespaces(_Resource):
    """`client.workers_for_platforms.dispatch.namespaces`."""

    @cached_property
    def scripts(self) -> DispatchedScripts:
        """The scripts in dispatch namespaces."""
        return DispatchedScripts(self._sender)


class Dispatch(_Resource):
    """`client.workers_for_platforms.dispatch`."""

    @cached_property
    def namespaces(self) -> Namespaces:
        """Dispatch namespaces."""
        return Namespaces(self._sender)


class WorkersForPlatforms(_Resource):
    """`client.workers_for_platforms`."""

    @cached_property
    def dispatch(self) -> Dispatch:
        """Dispatching to the scripts of others."""
        return Dispatch(self._sender)


class Tokens(_Resource):
    """`client.user.tokens`."""

    @cached_property
    def with_raw_response(self) -> "TokensWithRawResponse":
        """The same calls, with the answers as they came."""
        return TokensWithRawResponse(Tokens(self._raw_sender()))

    def verify(self, **options: Unpack[RequestOptions]) -> TokenStatus:
        """Whether the token in use works.

        Raises:
            AuthenticationError: it does not, or belongs to an account and not to a user.
            APIError: for any other reason.
        """
        return self._sender.send(calls.verify_token(options))


class TokensWithRawResponse:
    """`Tokens` with the answers as they came.

    Args:
        tokens: one that sends raw.
    """

    def __init__(self, tokens: Tokens) -> None:
        self.verify = raw(tokens.verify)


class CurrentUser(_Resource):
    """`client.user`."""

    @cached_property
    def tokens(self) -> Tokens:
        """The user's tokens."""
        return Tokens(self._sender)

    def get(self, **options: Unpack[RequestOptions]) -> User:
        """The user whom the credentials belong to.

        Raises:
            NotPermittedError: the token may not read it.
            APIError: for any other reason.
        """
        return self._sender.send(calls.get_user(options))


class Accounts(_Resource):
    """`client.accounts`."""

    @cached_property
    def with_raw_response(self) -> "AccountsWithRawResponse":
        """The same calls, with the answers as they came."""
        return AccountsWithRawResponse(Accounts(self._raw_sender()))

    def list(
        self,
        *,
        direction: Literal["asc", "desc"] | Omit = omit,
        name: str | Omit = omit,
        page: float | Omit = omit,
        per_page: float | Omit = omit,
        **options: Unpack[RequestOptions],
    ) -> ArrayPage[Account]:
        """The accounts that the credentials can see.

        Args:
            direction: of the order.
            name: only the one of this name.
            page: which page, from 1.
            per_page: how many on a page.
            options: extra headers and query, and a timeout for this request.
        """
        query = given(direction=direction, name=name, page=page, per_page=per_page)
        return listing(self._sender, calls.list_accounts(query, options), ArrayPage)

    def get(self, *, account_id: str, **options: Unpack[RequestOptions]) -> Account:
        """One account.

        Raises:
            APIError: when it cannot be seen.
        """
        return self._sender.send(calls.get_account(account_id, options))


class AccountsWithRawResponse:
    """`Accounts` with the answers as they came.

    Args:
        accounts: one that sends raw.
    """

    def __init__(self, accounts: Accounts) -> None:
        self.list = raw(accounts.list)
        self.get = raw(accounts.get)
