"""From an answer to its result, or to the error it stands for."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from nightsafe.client.errors import (
    APIError,
    APIResponseValidationError,
    APIStatusError,
    class_for,
    errors_in,
    in_words,
)
from nightsafe.client.messages import Request, Response
from nightsafe.client.model import ResultInfo

T = TypeVar("T")

_FIRST_REDIRECT = 300
_FIRST_REFUSAL = 400


class Envelope(Struct, Generic[T]):
    """What every answer comes in."""

    result: T
    success: bool = True


class Listed(Struct, Generic[T]):
    """The envelope of a page, whichever way its items are wrapped."""

    items: list[T]
    result_info: ResultInfo | None = None


class _Page(Struct, Generic[T]):
    """The envelope of a page that is an array."""

    result: list[T] | None
    success: bool = True
    result_info: ResultInfo | None = None


class _Wrapped(Struct, Generic[T]):
    """The object a page of versions or deployments is in."""

    items: list[T] | None = None
    deployments: list[T] | None = None


class _WrappedPage(Struct, Generic[T]):
    """The envelope of a page that is an object."""

    result: _Wrapped[T] | None
    success: bool = True
    result_info: ResultInfo | None = None


@lru_cache(maxsize=64)
def result_of(kind: Any) -> Callable[[bytes], Any]:
    """A reader of answers whose result is one value of a type."""
    decode = msgspec.json.Decoder(Envelope[kind]).decode

    def read(content: bytes) -> Any:
        """The result."""
        envelope: Envelope[Any] = decode(content)
        if not envelope.success:
            raise msgspec.ValidationError
        return envelope.result

    return read


@lru_cache(maxsize=16)
def page_of(kind: Any) -> Callable[[bytes], Listed[Any]]:
    """A reader of answers whose result is an array."""
    decode = msgspec.json.Decoder(_Page[kind]).decode

    def read(content: bytes) -> Listed[Any]:
        """The page."""
        page: _Page[Any] = decode(content)
        if not page.success:
            raise msgspec.ValidationError
        return Listed(page.result or [], page.result_info)

    return read


@lru_cache(maxsize=16)
def wrapped_page_of(kind: Any) -> Callable[[bytes], Listed[Any]]:
    """A reader of answers whose result is an object with `items` or `deployments`."""
    decode = msgspec.json.Decoder(_WrappedPage[kind]).decode

    def read(content: bytes) -> Listed[Any]:
        """The page."""
        page: _WrappedPage[Any] = decode(content)
        if not page.success:
            raise msgspec.ValidationError
        wrapped: _Wrapped[Any] = page.result or _Wrapped()
        items = wrapped.deployments if wrapped.items is None else wrapped.items
        return Listed(items or [], page.result_info)

    return read


def nothing(content: bytes) -> None:
    """Read an answer whose result does not matter."""
    if not msgspec.json.decode(content, type=Envelope[Any]).success:
        raise msgspec.ValidationError


def as_text(content: bytes) -> str:
    """Read an answer that comes without an envelope."""
    return content.decode("utf-8", "replace")


def read_result(read: Callable[[bytes], T], request: Request, response: Response) -> T:
    """The result of an answer.

    Raises:
        APIStatusError: when it is a refusal: by its status, or by `success` whatever its status.
        APIResponseValidationError: when it is not what the API promises.
    """
    if response.status_code < _FIRST_REDIRECT:
        try:
            return read(response.content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # raised below, where no message of the parser's can quote the answer
    raise error_for(request, response)


def error_for(request: Request, response: Response) -> APIError:
    """The error that an answer stands for."""
    body = _body(response.content)
    refused = isinstance(body, dict) and body.get("success") is False
    status = response.status_code
    if not refused and status < _FIRST_REFUSAL:
        return _unusable(request, response, body)
    errors = errors_in(body)
    kind: type[APIStatusError] = class_for(status, errors)
    message = f"Error code: {status} - {in_words(errors, 'without a reason that could be read')}"
    return kind(message, response=response, request=request, body=body)


def _unusable(request: Request, response: Response, body: object) -> APIError:
    """The error for an answer that is neither a result nor a refusal."""
    if response.status_code >= _FIRST_REDIRECT:
        to = response.headers.get("location", "nowhere")
        message = f"Error code: {response.status_code} - a redirect to {to}, which is not followed: check base_url"
        return APIStatusError(message, response=response, request=request, body=body)
    message = f"the answer to {request.method} {request.url} is not what the API promises"
    return APIResponseValidationError(message, response=response, request=request, body=body)


def _body(content: bytes) -> object:
    """An answer's body as JSON, else as text."""
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return content.decode("utf-8", "replace")
