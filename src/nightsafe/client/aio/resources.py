"""The resources that only contain others, and the small ones."""

from functools import cached_property
from typing import Literal, Unpack

from nightsafe.client import calls
from nightsafe.client.aio.base import AsyncResource
from nightsafe.client.aio.dispatched_secrets import AsyncDispatchedSecrets
from nightsafe.client.aio.listing import AsyncPaginator, listing
from nightsafe.client.aio.page import AsyncArrayPage
from nightsafe.client.aio.response import raw
from nightsafe.client.aio.scripts import AsyncScripts, AsyncScriptsWithRawResponse
from nightsafe.client.call import without_omitted
from nightsafe.client.model import Account, TokenStatus, User
from nightsafe.client.not_given import Omit, RequestOptions, omit


class AsyncWorkers(AsyncResource):
    """`client.workers`: the Workers of an account."""

    @cached_property
    def scripts(self) -> AsyncScripts:
        """Return the Workers of an account."""
        return AsyncScripts(self._sender)

    @cached_property
    def with_raw_response(self) -> "AsyncWorkersWithRawResponse":
        """Return the same methods, but with whole answers as results."""
        return AsyncWorkersWithRawResponse(self.scripts.with_raw_response)


class AsyncWorkersWithRawResponse:
    """`AsyncWorkers` with whole answers as results.

    Args:
        scripts: the scripts, with whole answers as results.
    """

    def __init__(self, scripts: AsyncScriptsWithRawResponse) -> None:
        self.scripts = scripts


class AsyncDispatchedScripts(AsyncResource):
    """`client.workers_for_platforms.dispatch.namespaces.scripts`: the scripts in namespaces."""

    @cached_property
    def secrets(self) -> AsyncDispatchedSecrets:
        """Return their secret bindings."""
        return AsyncDispatchedSecrets(self._sender)


class AsyncNamespaces(AsyncResource):
    """`client.workers_for_platforms.dispatch.namespaces`: dispatch namespaces."""

    @cached_property
    def scripts(self) -> AsyncDispatchedScripts:
        """Return the scripts in dispatch namespaces."""
        return AsyncDispatchedScripts(self._sender)


class AsyncDispatch(AsyncResource):
    """`client.workers_for_platforms.dispatch`: dynamic dispatch."""

    @cached_property
    def namespaces(self) -> AsyncNamespaces:
        """Return dispatch namespaces."""
        return AsyncNamespaces(self._sender)


class AsyncWorkersForPlatforms(AsyncResource):
    """`client.workers_for_platforms`: Workers for Platforms."""

    @cached_property
    def dispatch(self) -> AsyncDispatch:
        """Return dynamic dispatch."""
        return AsyncDispatch(self._sender)


class AsyncTokens(AsyncResource):
    """`client.user.tokens`: the tokens of the user."""

    @cached_property
    def with_raw_response(self) -> "AsyncTokensWithRawResponse":
        """Return the same methods, but with whole answers as results."""
        return AsyncTokensWithRawResponse(AsyncTokens(self._raw_sender()))

    async def verify(self, **options: Unpack[RequestOptions]) -> TokenStatus:
        """Check that the token in use works, and return its status.

        Raises:
            AuthenticationError: the token does not work, or belongs to an account and not to a user.
            APIError: for any other reason.
        """
        return await self._sender.send(calls.verify_token(options))


class AsyncTokensWithRawResponse:
    """`AsyncTokens` with whole answers as results.

    Args:
        tokens: the resource, with a sender that returns whole answers.
    """

    def __init__(self, tokens: AsyncTokens) -> None:
        self.verify = raw(tokens.verify)


class AsyncCurrentUser(AsyncResource):
    """`client.user`: the user that the credentials belong to."""

    @cached_property
    def tokens(self) -> AsyncTokens:
        """Return the user's tokens."""
        return AsyncTokens(self._sender)

    async def get(self, **options: Unpack[RequestOptions]) -> User:
        """Return the user that the credentials belong to.

        Raises:
            NotPermittedError: the token may not read the user.
            APIError: for any other reason.
        """
        return await self._sender.send(calls.get_user(options))


class AsyncAccounts(AsyncResource):
    """`client.accounts`: the accounts that the credentials can see."""

    @cached_property
    def with_raw_response(self) -> "AsyncAccountsWithRawResponse":
        """Return the same methods, but with whole answers as results."""
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
        """List the accounts that the credentials can see.

        Args:
            direction: the direction of the order.
            name: list only the account with this name.
            page: the number of the page, from 1.
            per_page: the number of items on a page.
            options: extra headers and query, and a timeout for this request.
        """
        query = without_omitted(direction=direction, name=name, page=page, per_page=per_page)
        return listing(self._sender, calls.list_accounts(query, options), AsyncArrayPage)

    async def get(self, *, account_id: str, **options: Unpack[RequestOptions]) -> Account:
        """Return one account.

        Raises:
            APIError: when the credentials cannot see the account.
        """
        return await self._sender.send(calls.get_account(account_id, options))


class AsyncAccountsWithRawResponse:
    """`AsyncAccounts` with whole answers as results.

    Args:
        accounts: the resource, with a sender that returns whole answers.
    """

    def __init__(self, accounts: AsyncAccounts) -> None:
        self.list = raw(accounts.list)
        self.get = raw(accounts.get)
