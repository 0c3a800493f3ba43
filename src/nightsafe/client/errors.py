"""The errors that a call can raise.

    ClientError
    └── APIError
        ├── APIConnectionError
        │   └── APITimeoutError
        ├── APIResponseValidationError
        ├── SealingError
        └── APIStatusError
            ├── BadRequestError (400)
            │   ├── NameTakenError (10053)
            │   └── SecretRefusedError (before anything is sent)
            ├── AuthenticationError (401)
            ├── PermissionDeniedError (403)
            │   └── NotPermittedError (10000, 9109)
            ├── NotFoundError (404)
            │   ├── ScriptNotFoundError (10007, 10090)
            │   └── SecretNotFoundError (10056)
            ├── ConflictError (409)
            ├── UnprocessableEntityError (422)
            ├── RateLimitError (429; 971, 10429)
            └── InternalServerError (500 and above)

The classes down to `APIStatusError`, and its subclasses by status, have the names of the official SDK. No error
contains the request's body or credentials.
"""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from nightsafe.client.messages import Request, Response


class ErrorSource(Struct, frozen=True):
    """The position of a fault in the request."""

    pointer: str | None = None
    """A JSON Pointer (RFC 6901) into the body."""


class ErrorData(Struct, frozen=True):
    """One error in an answer, as the API reports it."""

    code: int = 0
    """The error code."""
    message: str = ""
    """The message."""
    documentation_url: str | None = None
    """A page of documentation."""
    source: ErrorSource | None = None
    """The position of the fault in the request."""
    error_chain: Sequence[dict[str, Any]] = ()
    """More specific errors below this one."""

    @property
    def pointer(self) -> str | None:
        """Return the JSON Pointer to the fault, if the API gives one."""
        return self.source.pointer if self.source else None


class ClientError(Exception):
    """The base of all errors of this client, except errors for wrong arguments (ValueError, TypeError)."""


class APIError(ClientError):
    """A call that did not succeed.

    Attributes:
        message: the message.
        request: the request, without its body and credentials.
        body: the body of the answer as JSON, or else as text; None without an answer.
        errors: the errors in the answer.
    """

    def __init__(self, message: str, request: Request, *, body: object | None) -> None:
        super().__init__(message)
        self.message = message
        self.request = request.bare()
        self.body = body
        self.errors: list[ErrorData] = errors_in(body)


class APIConnectionError(APIError):
    """A call without an answer: the server cannot be reached, or the connection broke."""

    def __init__(self, *, message: str = "Connection error.", request: Request) -> None:
        super().__init__(message, request, body=None)


class APITimeoutError(APIConnectionError):
    """A call without an answer in time."""

    def __init__(self, request: Request) -> None:
        super().__init__(message="Request timed out.", request=request)


class SealingError(APIError):
    """A value had to be sealed, and the server or this installation does not allow it. Nothing was sent."""

    def __init__(self, message: str, request: Request) -> None:
        super().__init__(message, request, body=None)


class _AnsweredError(APIError):
    """A failed call with an answer."""

    def __init__(self, message: str, *, response: Response, request: Request, body: object | None) -> None:
        super().__init__(message, request, body=body)
        self.response = response
        self.status_code = response.status_code


class APIResponseValidationError(_AnsweredError):
    """An answer that is not what the API promises."""


class APIStatusError(_AnsweredError):
    """A refusal, by its status or by `success: false` with any status."""


class BadRequestError(APIStatusError):
    """Status 400."""


class NameTakenError(BadRequestError):
    """The name belongs to a binding of another kind (10053)."""


class SecretRefusedError(BadRequestError):
    """A secret to be sealed is invalid. The client found this before it sent anything. The code is the API's."""


class AuthenticationError(APIStatusError):
    """Status 401."""


class PermissionDeniedError(APIStatusError):
    """Status 403."""


class NotPermittedError(PermissionDeniedError):
    """The credentials are unknown, or their permissions are not sufficient (10000, 9109)."""


class NotFoundError(APIStatusError):
    """Status 404."""


class ScriptNotFoundError(NotFoundError):
    """The script does not exist (10007, 10090)."""


class SecretNotFoundError(NotFoundError):
    """The script exists, but does not have this secret (10056)."""


class ConflictError(APIStatusError):
    """Status 409."""


class UnprocessableEntityError(APIStatusError):
    """Status 422."""


class RateLimitError(APIStatusError):
    """Status 429, or a code with the same meaning (971, 10429)."""


class InternalServerError(APIStatusError):
    """Status 500 and above."""


_BY_STATUS: Final[dict[int, type[APIStatusError]]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}
_BY_CODE: Final[dict[int, type[APIStatusError]]] = {
    971: RateLimitError,
    9109: NotPermittedError,
    10000: NotPermittedError,
    10007: ScriptNotFoundError,
    10053: NameTakenError,
    10056: SecretNotFoundError,
    10090: ScriptNotFoundError,
    10429: RateLimitError,
}
_FIRST_REFUSAL: Final = 400
_FIRST_OF_SERVER: Final = 500


def error_class(status: int, errors: Sequence[ErrorData]) -> type[APIStatusError]:
    """Return the class of a refusal: by its status, or a subclass of that by its first code."""
    by_status = _BY_STATUS.get(status, InternalServerError if status >= _FIRST_OF_SERVER else APIStatusError)
    by_code = _BY_CODE.get(errors[0].code) if errors else None
    if by_code is not None and (status < _FIRST_REFUSAL or issubclass(by_code, by_status)):
        return by_code
    return by_status


def errors_in(body: object) -> list[ErrorData]:
    """Return the errors in an answer. This never raises, even for a malformed answer."""
    raw = body.get("errors") if isinstance(body, dict) else None
    return [_error(item) for item in raw if isinstance(item, dict)] if isinstance(raw, list) else []


def join_messages(errors: Sequence[ErrorData], default: str) -> str:
    """Return codes and messages in one line."""
    return "; ".join(f"{error.code} {error.message}" for error in errors) or default


def _error(raw: dict[str, Any]) -> ErrorData:
    """Return one error. A member of a wrong type counts as missing."""
    source, chain = raw.get("source"), raw.get("error_chain")
    return ErrorData(
        code=_typed_or(raw.get("code"), int, 0),
        message=_typed_or(raw.get("message"), str, ""),
        documentation_url=_typed_or(raw.get("documentation_url"), str, None),
        source=ErrorSource(_typed_or(source.get("pointer"), str, None)) if isinstance(source, dict) else None,
        error_chain=[item for item in chain if isinstance(item, dict)] if isinstance(chain, list) else (),
    )


def _typed_or(raw: object, kind: type, default: Any) -> Any:
    """Return a member if it has its type, else a default."""
    return raw if isinstance(raw, kind) else default
