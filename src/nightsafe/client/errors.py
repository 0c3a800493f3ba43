"""Everything a call can raise.

    ClientError
    └── APIError
        ├── APIConnectionError
        │   └── APITimeoutError
        ├── APIResponseValidationError
        ├── SealingError
        └── APIStatusError
            ├── BadRequestError (400)
            │   ├── NameTakenError (10053)
            │   └── SecretRefusedError (before it was sent)
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

Up to `APIStatusError` and its children by status the names are those of the official SDK. No error carries the
request's body or its credentials.
"""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from nightsafe.client.messages import Request, Response


class ErrorSource(Struct, frozen=True):
    """Where in the request something is wrong."""

    pointer: str | None = None
    """A JSON Pointer (RFC 6901) into the body."""


class ErrorData(Struct, frozen=True):
    """One thing that is wrong, in the API's words."""

    code: int = 0
    """What is wrong."""
    message: str = ""
    """The same in words."""
    documentation_url: str | None = None
    """Where to read on."""
    source: ErrorSource | None = None
    """Where in the request it is wrong."""
    error_chain: Sequence[dict[str, Any]] = ()
    """Further errors below this one."""

    @property
    def pointer(self) -> str | None:
        """The JSON Pointer to what is wrong, where the API gives one."""
        return self.source.pointer if self.source else None


class ClientError(Exception):
    """Whatever this client raises on purpose, but for wrong arguments (ValueError, TypeError)."""


class APIError(ClientError):
    """A call that did not succeed.

    Attributes:
        message: in words.
        request: what was sent, without its body and credentials.
        body: what was answered: JSON, else text, else None.
        errors: what the API says is wrong.
    """

    def __init__(self, message: str, request: Request, *, body: object | None) -> None:
        super().__init__(message)
        self.message = message
        self.request = request.bare()
        self.body = body
        self.errors: list[ErrorData] = errors_in(body)


class APIConnectionError(APIError):
    """No answer: the server cannot be reached, or the connection broke."""

    def __init__(self, *, message: str = "Connection error.", request: Request) -> None:
        super().__init__(message, request, body=None)


class APITimeoutError(APIConnectionError):
    """No answer in time."""

    def __init__(self, request: Request) -> None:
        super().__init__(message="Request timed out.", request=request)


class SealingError(APIError):
    """A value was to be sealed at all costs, and the server or this installation cannot do it: nothing was sent."""

    def __init__(self, message: str, request: Request) -> None:
        super().__init__(message, request, body=None)


class _AnsweredError(APIError):
    """A call that was answered."""

    def __init__(self, message: str, *, response: Response, request: Request, body: object | None) -> None:
        super().__init__(message, request, body=body)
        self.response = response
        self.status_code = response.status_code


class APIResponseValidationError(_AnsweredError):
    """An answer that is not what the API promises."""


class APIStatusError(_AnsweredError):
    """A refusal: by status, or by `success: false` whatever the status."""


class BadRequestError(APIStatusError):
    """Status 400."""


class NameTakenError(BadRequestError):
    """The name belongs to a binding of another kind (10053)."""


class SecretRefusedError(BadRequestError):
    """A secret that was to be sealed is none; found before anything of it was sent. The code is the API's."""


class AuthenticationError(APIStatusError):
    """Status 401."""


class PermissionDeniedError(APIStatusError):
    """Status 403."""


class NotPermittedError(PermissionDeniedError):
    """The credentials are unknown, or do not suffice (10000, 9109)."""


class NotFoundError(APIStatusError):
    """Status 404."""


class ScriptNotFoundError(NotFoundError):
    """There is no such script (10007, 10090)."""


class SecretNotFoundError(NotFoundError):
    """The script is there, but has no such secret (10056)."""


class ConflictError(APIStatusError):
    """Status 409."""


class UnprocessableEntityError(APIStatusError):
    """Status 422."""


class RateLimitError(APIStatusError):
    """Status 429, or a code that says the same (971, 10429)."""


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


def class_for(status: int, errors: Sequence[ErrorData]) -> type[APIStatusError]:
    """The class of a refusal: by its status, and more closely by its first code where that agrees."""
    by_status = _BY_STATUS.get(status, InternalServerError if status >= _FIRST_OF_SERVER else APIStatusError)
    by_code = _BY_CODE.get(errors[0].code) if errors else None
    if by_code is not None and (status < _FIRST_REFUSAL or issubclass(by_code, by_status)):
        return by_code
    return by_status


def errors_in(body: object) -> list[ErrorData]:
    """What an answer says is wrong; whatever it is made of, this raises nothing."""
    raw = body.get("errors") if isinstance(body, dict) else None
    return [_error(one) for one in raw if isinstance(one, dict)] if isinstance(raw, list) else []


def in_words(errors: Sequence[ErrorData], otherwise: str) -> str:
    """Codes and messages in one line."""
    return "; ".join(f"{error.code} {error.message}" for error in errors) or otherwise


def _error(raw: dict[str, Any]) -> ErrorData:
    """One error; a member of a wrong type counts as missing."""
    source, chain = raw.get("source"), raw.get("error_chain")
    return ErrorData(
        code=_of_type(raw.get("code"), int, 0),
        message=_of_type(raw.get("message"), str, ""),
        documentation_url=_of_type(raw.get("documentation_url"), str, None),
        source=ErrorSource(_of_type(source.get("pointer"), str, None)) if isinstance(source, dict) else None,
        error_chain=[one for one in chain if isinstance(one, dict)] if isinstance(chain, list) else (),
    )


def _of_type(raw: object, kind: type, otherwise: Any) -> Any:
    """A member, if it is of its type."""
    return raw if isinstance(raw, kind) else otherwise
