"""The resources that only lead to others, and the small ones."""

from functools import cached_property
from typing import Literal, Unpack

from nightsafe.client import calls
from nightsafe.client.aio.dispatched_secrets import AsyncDispatchedSecrets
from nightsafe.client.aio.listing import AsyncPaginator, listing
from nightsafe.client.aio.page import AsyncArrayPage
from nightsafe.client.aio.response import raw
from nightsafe.client.aio.scripts import AsyncScripts, AsyncScriptsWithRawResponse
from nightsafe.client.aio.sender import AsyncRawSender, AsyncSender
from nightsafe.client.call import given
from nightsafe.client.model import Account, TokenStatus, User
from nightsafe.client.not_given import Omit, RequestOptions, omit


class _AsyncResource:
    """Something below the client.

    Args:
        sender: what sends.
    """

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def _raw_sender(self) -> AsyncRawSender:
        """What sends raw with the same settings."""
        return AsyncRawSender(self._sender.settings, self._sender.transport, self._sender.rings)


class AsyncWorkers(_AsyncResource):
    """`client.workers`."""

    @cached_property
    def scripts(self) -> AsyncScripts:
        """The Workers of an account."""
        return AsyncScripts(self._sender)

    @cached_property
    def with_raw_response(self) -> "AsyncWorkersWithRawResponse":
        """The same calls, with the answers as they came."""
        return AsyncWorkersWithRawResponse(self.scripts.with_raw_response)


class AsyncWorkersWithRawResponse:
    """`AsyncWorkers` with the answers as they came.

    Args:
        scripts: the raw scripts.
    """

    def __init__(self, scripts: AsyncScriptsWithRawResponse) -> None:
        self.scripts = scripts


class AsyncDispatchedScripts(_AsyncResource):
    """`client.workers_for_platforms.dispatch.namespaces.scripts`."""

    @cached_property
    def secrets(self) -> AsyncDispatchedSecrets:
        """Their secret bindings."""
        return AsyncDispatchedSecrets(self._sender)


class AsyncNamespaces(_AsyncResource):
    """`client.workers_for_platforms.dispatch.namespaces`."""

    @cached_property
    def scripts(self) -> AsyncDispatchedScripts:
        """The scripts in dispatch namespaces."""
        return AsyncDispatchedScripts(self._sender)


class AsyncDispatch(_AsyncResource):
    """`client.workers_for_platforms.dispatch`."""

    @cached_property
    def namespaces(self) -> AsyncNamespaces:
        """Dispatch namespaces."""
        return AsyncNamespaces(self._sender)


class AsyncWorkersForPlatforms(_AsyncResource):
    """`client.workers_for_platforms`."""

    @cached_property
    def dispatch(self) -> AsyncDispatch:
        """Dispatching to the scripts of others."""
        return AsyncDispatch(self._sender)


class AsyncTokens(_AsyncResource):
    """`client.user.tokens`."""

    @cached_property
    def with_raw_response(self) -> "AsyncTokensWithRawResponse":
        """The same calls, with the answers as they came."""
        return AsyncTokensWithRawResponse(AsyncTokens(self._raw_sender()))

    async def verify(self, **options: Unpack[RequestOptions]) -> TokenStatus:
        """Whether the token in use works.

        Raises:
            AuthenticationError: it does not, or belongs to an account and not to a user.
            APIError: for any other reason.
        """
        return await self._sender.send(calls.verify_token(options))


class AsyncTokensWithRawResponse:
    """`AsyncTokens` with the answers as they came.

    Args:
        tokens: one that sends raw.
    """

    def __init__(self, tokens: AsyncTokens) -> None:
        self.verify = raw(tokens.verify)


class AsyncCurrentUser(_AsyncResource):
    """`client.user`."""

    @cached_property
    def tokens(self) -> AsyncTokens:
        """The user's tokens."""
        return AsyncTokens(self._sender)

    async def get(self, **options: Unpack[RequestOptions]) -> User:
        """The user whom the credentials belong to.

        Raises:
            NotPermittedError: the token may not read it.
            APIError: for any other reason.
        """
        return await self._sender.send(calls.get_user(options))


class AsyncAccounts(_AsyncResource):
    """`client.accounts`."""

    @cached_property
    def with_raw_response(self) -> "AsyncAccountsWithRawResponse":
        """The same calls, with the answers as they came."""
        return AsyncAccountsWithRawResponse(AsyncAccounts(self._raw_sender()))

    def list(
        self,
        *,
        direction: Literal["asc", "desc"] | Omit = omit,
        name: str | Omit = omit,
        page: float | Omit = omit,
        per_page: float | Omit = omit,
        **options: Unpack[RequestOptions],
    ) -> AsyncPaginator[AsyncArrayPage[Account], Account]:
        """The accounts that the credentials can see.

        Args:
            direction: of the order.
            name: only the one of this name.
            page: which page, from 1.
            per_page: how many on a page.
            options: extra headers and query, and a timeout for this request.
        """
        query = given(direction=direction, name=name, page=page, per_page=per_page)
        return listing(self._sender, calls.list_accounts(query, options), AsyncArrayPage)

    async def get(self, *, account_id: str, **options: Unpack[RequestOptions]) -> Account:
        """One account.

        Raises:
            APIError: when it cannot be seen.
        """
        return await self._sender.send(calls.get_account(account_id, options))


class AsyncAccountsWithRawResponse:
    """`AsyncAccounts` with the answers as they came.

    Args:
        accounts: one that sends raw.
    """

    def __init__(self, accounts: AsyncAccounts) -> None:
        self.list = raw(accounts.list)
        self.get = raw(accounts.get)
