# Made from aio/response.py by tools/generate_client.py: edit that one.
"""A whole answer: status, headers and body. Its result is parsed on request."""

from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, cast

import msgspec

from nightsafe.client.messages import Headers, Request, Response

P = ParamSpec("P")
T = TypeVar("T")


class APIResponse(Generic[T]):
    """The result of a method of `with_raw_response`: a whole answer.

    Args:
        request: the last request that was sent.
        response: the answer.
        retries_taken: the number of retries.
        parse: parses the result.
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
        """Return the HTTP status."""
        return self.http_response.status_code

    @property
    def headers(self) -> Headers:
        """Return the headers of the answer."""
        return self.http_response.headers

    @property
    def url(self) -> str:
        """Return the URL of the request."""
        return self.http_request.url

    @property
    def method(self) -> str:
        """Return the method of the request."""
        return self.http_request.method

    def parse(self) -> T:
        """Return the result.

        Raises:
            APIStatusError: when the answer is a refusal with a status of success.
            APIResponseValidationError: when the answer is not what the API promises.
        """
        return self._parse(self.http_response)

    def read(self) -> bytes:
        """Return the body."""
        return self.http_response.content

    def text(self) -> str:
        """Return the body as text."""
        return self.http_response.text

    def json(self) -> Any:
        """Return the body as JSON."""
        return msgspec.json.decode(self.http_response.content)

    def __repr__(self) -> str:
        """Show the status."""
        return f"<{type(self).__name__} {self.status_code}>"


def raw(method: Callable[P, T]) -> Callable[P, APIResponse[T]]:
    """Return the same method with the type of its result, which is a whole answer because of its sender."""
    return cast("Callable[P, APIResponse[T]]", method)
