# Made from aio/sender.py by tools/generate_client.py: edit that one.
"""Sends calls: waits, retries, and seals values. `exchange` decides what to send and how to read the answer."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from nightsafe.client import client_sealed
from nightsafe.client.blocking.page import Page
from nightsafe.client.blocking.response import APIResponse
from nightsafe.client.blocking.transport import Transport
from nightsafe.client.blocking.waiting import sleep
from nightsafe.client.call import Call, ScriptLocation
from nightsafe.client.calls import SealBinding
from nightsafe.client.envelope import ListPage
from nightsafe.client.errors import APIResponseValidationError, APIStatusError, BadRequestError
from nightsafe.client.exchange import Exchange
from nightsafe.client.messages import Response
from nightsafe.client.rings.offer import Offer, get_ring
from nightsafe.client.settings import ClientSettings
from nightsafe.errors import NightsafeError

T = TypeVar("T")
P = TypeVar("P", bound=Page[Any])


class Sender:
    """Sends the calls of a client's resources.

    Args:
        settings: the client's settings.
        transport: sends one request.
        rings: the known public rings.
    """

    def __init__(self, settings: ClientSettings, transport: Transport, rings: client_sealed.Rings) -> None:
        self.settings = settings
        self.transport = transport
        self.rings = rings

    def send(self, call: Call[T]) -> T:
        """Send a call, and return its result.

        Raises:
            APIError: when the call has no result.
        """
        exchange = Exchange(self.settings, call)
        return exchange.result(self._final_answer(exchange))

    def page(self, call: Call[ListPage[T]], kind: type[P]) -> P:
        """Send a call for a page, and return the page."""
        return kind(self.send, call, self.send(call))

    def send_sealed(self, location: ScriptLocation, build: Callable[[SealBinding], Call[T]]) -> T:
        """Send a call and return its result. Seal its secrets first, if the server accepts sealed values.

        If the server has new keys, its ring is fetched again.

        Raises:
            SecretRefusedError: when a secret is invalid. Nothing was sent then.
            SealingError: when sealing is required and not possible.
            APIError: when the call has no result for another reason.
        """
        known = self.rings.knows(location) or self.settings.public_ring is not None
        try:
            return self._send_once_sealed(location, build)
        except BadRequestError as error:
            if not known or not client_sealed.is_stale(error):
                raise
            ring = self._fetch_ring(location)
            if ring is None:
                raise  # the server accepts sealed values, so nothing is sent to it unsealed
        self.rings.learn(self.settings, location, ring)
        return self._send_once_sealed(location, build)

    def _send_once_sealed(self, location: ScriptLocation, build: Callable[[SealBinding], Call[T]]) -> T:
        """Send a call and return its result. Seal to the known ring, or to the ring that is fetched first."""
        seal = self._seal(location)
        try:
            call = build(seal)
        except NightsafeError as error:
            raise client_sealed.refusal(self.settings, location, error) from None
        return self.send(call)

    def _seal(self, location: ScriptLocation) -> SealBinding:
        """Return the function that seals for a place, or one that leaves secrets unchanged."""
        if not client_sealed.is_sealing_enabled(self.settings, location):
            return client_sealed.leave_unsealed
        if not self.rings.knows(location) and not self.rings.use_ring_file(self.settings, location):
            self.rings.learn(self.settings, location, self._fetch_ring(location))
        return self.rings.seal(self.settings, location)

    def _fetch_ring(self, location: ScriptLocation) -> Offer | None:
        """Return the ring that a server offers, or None."""
        exchange = Exchange(self.settings, get_ring(location))
        try:
            return exchange.result(self._final_answer(exchange))
        except APIResponseValidationError:
            return None
        except APIStatusError as error:
            if client_sealed.is_inconclusive(error):
                raise
            return None

    def _final_answer(self, exchange: Exchange[Any]) -> Response:
        """Return the final answer, after any retries.

        Raises:
            APIConnectionError: when there is no answer.
        """
        while True:
            try:
                response = self.transport.send(exchange.request, exchange.timeout)
            except OSError as error:
                delay = exchange.delay_after_error(error)
            else:
                wait = exchange.delay_after_answer(response)
                if wait is None:
                    return response
                delay = wait
            sleep(delay)


class RawSender(Sender):
    """Returns whole answers. A refusal is still raised as an error."""

    def send(self, call: Call[T]) -> T:
        """Return the answer to a call."""
        exchange = Exchange(self.settings, call)
        return cast("T", self._raw_answer(exchange, exchange.result))

    def page(self, call: Call[ListPage[T]], kind: type[P]) -> P:
        """Return the answer to a call for a page. Further pages are parsed."""
        exchange = Exchange(self.settings, call)
        page_sender = Sender(self.settings, self.transport, self.rings)
        return cast(
            "P",
            self._raw_answer(exchange, lambda response: kind(page_sender.send, call, exchange.result(response))),
        )

    def _raw_answer(self, exchange: Exchange[Any], parse: Callable[[Response], T]) -> APIResponse[T]:
        """Return the answer."""
        response = self._final_answer(exchange)
        exchange.refuse(response)
        return APIResponse(exchange.request, response, exchange.retries_taken, parse)
