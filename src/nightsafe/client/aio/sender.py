"""Sends calls: waits, tries again, seals what is to be sealed. What to send and what came back is `exchange`'s."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from nightsafe.client import client_sealed
from nightsafe.client.aio.page import AsyncPage
from nightsafe.client.aio.response import AsyncAPIResponse
from nightsafe.client.aio.transport import AsyncTransport
from nightsafe.client.aio.waiting import sleep
from nightsafe.client.call import Call, Place
from nightsafe.client.calls import Seal
from nightsafe.client.envelope import Listed
from nightsafe.client.errors import APIResponseValidationError, APIStatusError, BadRequestError
from nightsafe.client.exchange import Exchange
from nightsafe.client.messages import Response
from nightsafe.client.rings.offer import Offer, get_ring
from nightsafe.client.settings import Settings
from nightsafe.errors import NightsafeError

T = TypeVar("T")
P = TypeVar("P", bound=AsyncPage[Any])


class AsyncSender:
    """What the resources of a client send with.

    Args:
        settings: the client's.
        transport: sends one request.
        rings: what is known of the servers' public rings.
    """

    def __init__(self, settings: Settings, transport: AsyncTransport, rings: client_sealed.Rings) -> None:
        self.settings = settings
        self.transport = transport
        self.rings = rings

    async def send(self, call: Call[T]) -> T:
        """The result of a call.

        Raises:
            APIError: when there is none.
        """
        exchange = Exchange(self.settings, call)
        return exchange.result(await self._answer(exchange))

    async def page(self, call: Call[Listed[T]], kind: type[P]) -> P:
        """A page of a list."""
        return kind(self.send, call, await self.send(call))

    async def send_sealed(self, place: Place, build: Callable[[Seal], Call[T]]) -> T:
        """The result of a call whose secrets are sealed on the way, where the server takes them so.

        When the server has other keys by now, its ring is asked for once more.

        Raises:
            SecretRefusedError: when a secret is none; nothing was sent then.
            SealingError: when a seal is required and cannot be made.
            APIError: when the call has no result for another reason.
        """
        known = self.rings.knows(place) or self.settings.public_ring is not None
        try:
            return await self._send_once_sealed(place, build)
        except BadRequestError as error:
            if not known or not client_sealed.is_stale(error):
                raise
            ring = await self._ring(place)
            if ring is None:
                raise  # it takes sealed values, so nothing goes to it in the clear
        self.rings.learn(self.settings, place, ring)
        return await self._send_once_sealed(place, build)

    async def _send_once_sealed(self, place: Place, build: Callable[[Seal], Call[T]]) -> T:
        """The result of a call, sealed to the ring that is known or asked for."""
        seal = await self._seal(place)
        try:
            call = build(seal)
        except NightsafeError as error:
            raise client_sealed.refusal(self.settings, place, error) from None
        return await self.send(call)

    async def _seal(self, place: Place) -> Seal:
        """What seals for a place; it may leave secrets as they are."""
        if not client_sealed.is_wanted(self.settings, place):
            return client_sealed.leave
        if not self.rings.knows(place) and not self.rings.take_given(self.settings, place):
            self.rings.learn(self.settings, place, await self._ring(place))
        return self.rings.seal(self.settings, place)

    async def _ring(self, place: Place) -> Offer | None:
        """The ring that a server offers, or None when it has none."""
        exchange = Exchange(self.settings, get_ring(place))
        try:
            return exchange.result(await self._answer(exchange))
        except APIResponseValidationError:
            return None
        except APIStatusError as error:
            if client_sealed.says_nothing(error):
                raise
            return None

    async def _answer(self, exchange: Exchange[Any]) -> Response:
        """The answer that stands, after as many tries as it takes.

        Raises:
            APIConnectionError: when there is none.
        """
        while True:
            try:
                response = await self.transport.send(exchange.request, exchange.timeout)
            except OSError as error:
                delay = exchange.failed(error)
            else:
                wait = exchange.answered(response)
                if wait is None:
                    return response
                delay = wait
            await sleep(delay)


class AsyncRawSender(AsyncSender):
    """Gives answers as they came; a refusal is raised all the same."""

    async def send(self, call: Call[T]) -> T:
        """The answer to a call."""
        exchange = Exchange(self.settings, call)
        return cast("T", await self._raw(exchange, exchange.result))

    async def page(self, call: Call[Listed[T]], kind: type[P]) -> P:
        """The answer to a call for a page; further pages come parsed."""
        exchange = Exchange(self.settings, call)
        parsing = AsyncSender(self.settings, self.transport, self.rings)
        return cast(
            "P", await self._raw(exchange, lambda response: kind(parsing.send, call, exchange.result(response)))
        )

    async def _raw(self, exchange: Exchange[Any], parse: Callable[[Response], T]) -> AsyncAPIResponse[T]:
        """The answer."""
        response = await self._answer(exchange)
        exchange.refuse(response)
        return AsyncAPIResponse(exchange.request, response, exchange.retries_taken, parse)
