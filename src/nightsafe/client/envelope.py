"""Turns an answer into its result or its error."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from nightsafe.client.errors import (
    APIError,
    APIResponseValidationError,
    APIStatusError,
    error_class,
    errors_in,
    join_messages,
)
from nightsafe.client.messages import Request, Response
from nightsafe.client.model import ResultInfo

T = TypeVar("T")

_FIRST_REDIRECT = 300
_FIRST_REFUSAL = 400


class Envelope(Struct, Generic[T]):
    """The envelope of every answer."""

    result: T
    success: bool = True


class ListPage(Struct, Generic[T]):
    """A page of a list, in the same form for every kind of envelope."""

    items: list[T]
    result_info: ResultInfo | None = None


class _Page(Struct, Generic[T]):
    """The envelope of a page whose result is an array."""

    result: list[T] | None
    success: bool = True
    result_info: ResultInfo | None = None


class _Wrapped(Struct, Generic[T]):
    """The object that contains a page of versions or deployments."""

    items: list[T] | None = None
    deployments: list[T] | None = None


class _WrappedPage(Struct, Generic[T]):
    """The envelope of a page whose result is an object."""

    result: _Wrapped[T] | None
    success: bool = True
    result_info: ResultInfo | None = None


@lru_cache(maxsize=64)
def result_of(kind: Any) -> Callable[[bytes], Any]:
    """Return a reader of answers whose result is one value of a type."""
    decode = msgspec.json.Decoder(Envelope[kind]).decode

    def read(content: bytes) -> Any:
        """Return the result."""
        envelope: Envelope[Any] = decode(content)
        if not envelope.success:
            raise msgspec.ValidationError
        return envelope.result

    return read


@lru_cache(maxsize=16)
def page_of(kind: Any) -> Callable[[bytes], ListPage[Any]]:
    """Return a reader of answers whose result is an array."""
    decode = msgspec.json.Decoder(_Page[kind]).decode

    def read(content: bytes) -> ListPage[Any]:
        """Return the page."""
        page: _Page[Any] = decode(content)
        if not page.success:
            raise msgspec.ValidationError
        return ListPage(page.result or [], page.result_info)

    return read


@lru_cache(maxsize=16)
def wrapped_page_of(kind: Any) -> Callable[[bytes], ListPage[Any]]:
    """Return a reader of answers whose result is an object with `items` or `deployments`."""
    decode = msgspec.json.Decoder(_WrappedPage[kind]).decode

    def read(content: bytes) -> ListPage[Any]:
        """Return the page."""
        page: _WrappedPage[Any] = decode(content)
        if not page.success:
            raise msgspec.ValidationError
        wrapped: _Wrapped[Any] = page.result or _Wrapped()
        items = wrapped.deployments if wrapped.items is None else wrapped.items
        return ListPage(items or [], page.result_info)

    return read


def read_nothing(content: bytes) -> None:
    """Check an answer whose result does not matter."""
    if not msgspec.json.decode(content, type=Envelope[Any]).success:
        raise msgspec.ValidationError


def read_text(content: bytes) -> str:
    """Read an answer without an envelope."""
    return content.decode("utf-8", "replace")


def read_result(read: Callable[[bytes], T], request: Request, response: Response) -> T:
    """Return the result of an answer.

    Raises:
        APIStatusError: when the answer is a refusal, by its status or by `success: false` with any status.
        APIResponseValidationError: when the answer is not what the API promises.
    """
    if response.status_code < _FIRST_REDIRECT:
        try:
            return read(response.content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # raised below, so that no message of the parser quotes the answer
    raise error_for(request, response)


def error_for(request: Request, response: Response) -> APIError:
    """Return the error for an answer."""
    body = _body(response.content)
    refused = isinstance(body, dict) and body.get("success") is False
    status = response.status_code
    if not refused and status < _FIRST_REFUSAL:
        return _invalid_answer(request, response, body)
    errors = errors_in(body)
    error_type: type[APIStatusError] = error_class(status, errors)
    message = f"Error code: {status} - {join_messages(errors, 'the answer has no readable reason')}"
    return error_type(message, response=response, request=request, body=body)


def _invalid_answer(request: Request, response: Response, body: object) -> APIError:
    """Return the error for an answer that is neither a result nor a refusal."""
    if response.status_code >= _FIRST_REDIRECT:
        target = response.headers.get("location", "nowhere")
        reason = f"the server redirects to {target}, and redirects are not followed: check base_url"
        message = f"Error code: {response.status_code} - {reason}"
        return APIStatusError(message, response=response, request=request, body=body)
    message = f"the answer to {request.method} {request.url} is not what the API promises"
    return APIResponseValidationError(message, response=response, request=request, body=body)


def _body(content: bytes) -> object:
    """Return an answer's body as JSON, or as text if it is not JSON."""
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return content.decode("utf-8", "replace")
