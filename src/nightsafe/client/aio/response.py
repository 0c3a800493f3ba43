"""An answer as it came, with its result when asked for."""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, ParamSpec, TypeVar, cast

import msgspec

from nightsafe.client.messages import Headers, Request, Response

P = ParamSpec("P")
T = TypeVar("T")


class AsyncAPIResponse(Generic[T]):
    """What `with_raw_response` gives.

    Args:
        request: what was sent last.
        response: what came back.
        retries_taken: how many tries there were before it.
        parse: gives the result.
    """

    def __init__(
        self, request: Request, response: Response, retries_taken: int, parse: Callable[[Response], T]
    ) -> None:
        self.http_request = request.bare()
        self.http_response = response
        self.retries_taken = retries_taken
        self._parse = parse

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        return self.http_response.status_code

    @property
    def headers(self) -> Headers:
        """The headers of the answer."""
        return self.http_response.headers

    @property
    def url(self) -> str:
        """What was asked."""
        return self.http_request.url

    @property
    def method(self) -> str:
        """How it was asked."""
        return self.http_request.method

    async def parse(self) -> T:
        """The result.

        Raises:
            APIStatusError: when the answer is a refusal with a status of success.
            APIResponseValidationError: when it is not what the API promises.
        """
        return self._parse(self.http_response)

    async def read(self) -> bytes:
        """The body."""
        return self.http_response.content

    async def text(self) -> str:
        """The body as text."""
        return self.http_response.text

    async def json(self) -> Any:
        """The body as JSON."""
        return msgspec.json.decode(self.http_response.content)

    def __repr__(self) -> str:
        """The status."""
        return f"<{type(self).__name__} {self.status_code}>"


def raw(method: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[AsyncAPIResponse[T]]]:
    """The type of a method whose resource sends raw: it does so already, and only its type has to say it."""
    return cast("Callable[P, Awaitable[AsyncAPIResponse[T]]]", method)
