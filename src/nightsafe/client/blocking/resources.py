# Made from aio/resources.py by tools/generate_client.py: edit that one.
"""The resources that only contain others, and the small ones."""

from functools import cached_property
from typing import Literal, Unpack

from nightsafe.client import calls
from nightsafe.client.blocking.base import Resource
from nightsafe.client.blocking.dispatched_secrets import DispatchedSecrets
from nightsafe.client.blocking.listing import listing
from nightsafe.client.blocking.page import ArrayPage
from nightsafe.client.blocking.response import raw
from nightsafe.client.blocking.scripts import Scripts, ScriptsWithRawResponse
from nightsafe.client.call import without_omitted
from nightsafe.client.model import Account, TokenStatus, User
from nightsafe.client.not_given import Omit, RequestOptions, omit


class Workers(Resource):
    """`client.workers`: the Workers of an account."""

    @cached_property
    def scripts(self) -> Scripts:
        """Return the Workers of an account."""
        return Scripts(self._sender)

    @cached_property
    def with_raw_response(self) -> "WorkersWithRawResponse":
        """Return the same methods, but with whole answers as results."""
        return WorkersWithRawResponse(self.scripts.with_raw_response)


class WorkersWithRawResponse:
    """`Workers` with whole answers as results.

    Args:
        scripts: the scripts, with whole answers as results.
    """

    def __init__(self, scripts: ScriptsWithRawResponse) -> None:
        self.scripts = scripts


class DispatchedScripts(Resource):
    """`client.workers_for_platforms.dispatch.namespaces.scripts`: the scripts in namespaces."""

    @cached_property
    def secrets(self) -> DispatchedSecrets:
        """Return their secret bindings."""
        return DispatchedSecrets(self._sender)


class Namespaces(Resource):
    """`client.workers_for_platforms.dispatch.namespaces`: dispatch namespaces."""

    @cached_property
    def scripts(self) -> DispatchedScripts:
        """Return the scripts in dispatch namespaces."""
        return DispatchedScripts(self._sender)


class Dispatch(Resource):
    """`client.workers_for_platforms.dispatch`: dynamic dispatch."""

    @cached_property
    def namespaces(self) -> Namespaces:
        """Return dispatch namespaces."""
        return Namespaces(self._sender)


class WorkersForPlatforms(Resource):
    """`client.workers_for_platforms`: Workers for Platforms."""

    @cached_property
    def dispatch(self) -> Dispatch:
        """Return dynamic dispatch."""
        return Dispatch(self._sender)


class Tokens(Resource):
    """`client.user.tokens`: the tokens of the user."""

    @cached_property
    def with_raw_response(self) -> "TokensWithRawResponse":
        """Return the same methods, but with whole answers as results."""
        return TokensWithRawResponse(Tokens(self._raw_sender()))

    def verify(self, **options: Unpack[RequestOptions]) -> TokenStatus:
        """Check that the token in use works, and return its status.

        Raises:
            AuthenticationError: the token does not work, or belongs to an account and not to a user.
            APIError: for any other reason.
        """
        return self._sender.send(calls.verify_token(options))


class TokensWithRawResponse:
    """`Tokens` with whole answers as results.

    Args:
        tokens: the resource, with a sender that returns whole answers.
    """

    def __init__(self, tokens: Tokens) -> None:
        self.verify = raw(tokens.verify)


class CurrentUser(Resource):
    """`client.user`: the user that the credentials belong to."""

    @cached_property
    def tokens(self) -> Tokens:
        """Return the user's tokens."""
        return Tokens(self._sender)

    def get(self, **options: Unpack[RequestOptions]) -> User:
        """Return the user that the credentials belong to.

        Raises:
            NotPermittedError: the token may not read the user.
            APIError: for any other reason.
        """
        return self._sender.send(calls.get_user(options))


class Accounts(Resource):
    """`client.accounts`: the accounts that the credentials can see."""

    @cached_property
    def with_raw_response(self) -> "AccountsWithRawResponse":
        """Return the same methods, but with whole answers as results."""
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
        """List the accounts that the credentials can see.

        Args:
            direction: the direction of the order.
            name: list only the account with this name.
            page: the number of the page, from 1.
            per_page: the number of items on a page.
            options: extra headers and query, and a timeout for this request.
        """
        query = without_omitted(direction=direction, name=name, page=page, per_page=per_page)
        return listing(self._sender, calls.list_accounts(query, options), ArrayPage)

    def get(self, *, account_id: str, **options: Unpack[RequestOptions]) -> Account:
        """Return one account.

        Raises:
            APIError: when the credentials cannot see the account.
        """
        return self._sender.send(calls.get_account(account_id, options))


class AccountsWithRawResponse:
    """`Accounts` with whole answers as results.

    Args:
        accounts: the resource, with a sender that returns whole answers.
    """

    def __init__(self, accounts: Accounts) -> None:
        self.list = raw(accounts.list)
        self.get = raw(accounts.get)
