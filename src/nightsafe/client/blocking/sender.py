# Made from aio/sender.py by tools/unasync.py: edit that one.
"""Sends calls: waits, tries again, seals what is to be sealed. What to send and what came back is `exchange`'s."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from nightsafe.client import client_sealed
from nightsafe.client.blocking.page import Page
from nightsafe.client.blocking.response import APIResponse
from nightsafe.client.blocking.transport import Transport
from nightsafe.client.blocking.waiting import sleep
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
P = TypeVar("P", bound=Page[Any])


class Sender:
    """What the resources of a client send with.

    Args:
        settings: the client's.
        transport: sends one request.
        rings: what is known of the servers' public rings.
    """

    def __init__(self, settings: Settings, transport: Transport, rings: client_sealed.Rings) -> None:
        self.settings = settings
        self.transport = transport
        self.rings = rings

    def send(self, call: Call[T]) -> T:
        """The result of a call.

        Raises:
            APIError: when there is none.
        """
        exchange = Exchange(self.settings, call)
        return exchange.result(self._answer(exchange))

    def page(self, call: Call[Listed[T]], kind: type[P]) -> P:
        """A page of a list."""
        return kind(self.send, call, self.send(call))

    def send_sealed(self, place: Place, build: Callable[[Seal], Call[T]]) -> T:
        """The result of a call whose secrets are sealed on the way, where the server takes them so.

        When the server has other keys by now, its ring is asked for once more.

        Raises:
            SecretRefusedError: when a secret is none; nothing was sent then.
            SealingError: when a seal is required and cannot be made.
            APIError: when the call has no result for another reason.
        """
        known = self.rings.knows(place) or self.settings.public_ring is not None
        try:
            return self._send_once_sealed(place, build)
        except BadRequestError as error:
            if not known or not client_sealed.is_stale(error):
                raise
            ring = self._ring(place)
            if ring is None:
                raise  # it takes sealed values, so nothing goes to it in the clear
        self.rings.learn(self.settings, place, ring)
        return self._send_once_sealed(place, build)

    def _send_once_sealed(self, place: Place, build: Callable[[Seal], Call[T]]) -> T:
        """The result of a call, sealed to the ring that is known or asked for."""
        seal = self._seal(place)
        try:
            call = build(seal)
        except NightsafeError as error:
            raise client_sealed.refusal(self.settings, place, error) from None
        return self.send(call)

    def _seal(self, place: Place) -> Seal:
        """What seals for a place; it may leave secrets as they are."""
        if not client_sealed.is_wanted(self.settings, place):
            return client_sealed.leave
        if not self.rings.knows(place) and not self.rings.take_given(self.settings, place):
            self.rings.learn(self.settings, place, self._ring(place))
        return self.rings.seal(self.settings, place)

    def _ring(self, place: Place) -> Offer | None:
        """The ring that a server offers, or None when it has none."""
        exchange = Exchange(self.settings, get_ring(place))
        try:
            return exchange.result(self._answer(exchange))
        except APIResponseValidationError:
            return None
        except APIStatusError as error:
            if client_sealed.says_nothing(error):
                raise
            return None

    def _answer(self, exchange: Exchange[Any]) -> Response:
        """The answer that stands, after as many tries as it takes.

        Raises:
            APIConnectionError: when there is none.
        """
        while True:
            try:
                response = self.transport.send(exchange.request, exchange.timeout)
            except OSError as error:
                delay = exchange.failed(error)
            else:
                wait = exchange.answered(response)
                if wait is None:
                    return response
                delay = wait
            sleep(delay)


class RawSender(Sender):
    """Gives answers as they came; a refusal is raised all the same."""

    def send(self, call: Call[T]) -> T:
        """The answer to a call."""
        exchange = Exchange(self.settings, call)
        return cast("T", self._raw(exchange, exchange.result))

    def page(self, call: Call[Listed[T]], kind: type[P]) -> P:
        """The answer to a call for a page; further pages come parsed."""
        exchange = Exchange(self.settings, call)
        parsing = Sender(self.settings, self.transport, self.rings)
        return cast("P", self._raw(exchange, lambda response: kind(parsing.send, call, exchange.result(response))))

    def _raw(self, exchange: Exchange[Any], parse: Callable[[Response], T]) -> APIResponse[T]:
        """The answer."""
        response = self._answer(exchange)
        exchange.refuse(response)
        return APIResponse(exchange.request, response, exchange.retries_taken, parse)
