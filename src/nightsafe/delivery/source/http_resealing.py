"""Fetches values to reseal from a remote API, over the same connections as bundles."""

from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from nightsafe.bundle.resealing import NewValues, OldValues, ResealingResult
from nightsafe.delivery.source.http import HttpSource
from nightsafe.errors import Code, NightsafeError

T = TypeVar("T", bound=Struct)

_OK: Final = 200
_CODES: Final = {400: Code.INVALID, 401: Code.NOT_PERMITTED, 403: Code.NOT_PERMITTED}
_MAX_MESSAGE: Final = 500


class _Error(Struct):
    """One problem of a refusal."""

    message: str = ""


class _Envelope(Struct):
    """The parts of the API's envelope that this module reads."""

    result: msgspec.Raw = msgspec.Raw(b"null")
    errors: tuple[_Error, ...] = ()


class HttpResealing:
    """A `ResealingSource` that asks a remote API.

    Args:
        source: the connection to the API; its token needs the permission Nightsafe Resealing.
    """

    def __init__(self, source: HttpSource) -> None:
        self._source: Final = source

    async def old_values(self, after: str) -> OldValues:
        """Implement `ResealingSource.old_values`."""
        return _decode_result(
            *await self._source.request("GET", f"resealing?{urlencode({'after': after})}"), OldValues
        )

    async def store(self, values: NewValues) -> ResealingResult:
        """Implement `ResealingSource.store`."""
        return _decode_result(
            *await self._source.request("POST", "resealing", msgspec.json.encode(values)), ResealingResult
        )


def _decode_result(status: int, body: bytes, kind: type[T]) -> T:
    """Return the result in an answer with status 200.

    Raises:
        NightsafeError: NOT_PERMITTED, INVALID or UNAVAILABLE, depending on the status. It quotes the API's error
            messages, which contain no value.
    """
    try:
        envelope = msgspec.json.decode(body, type=_Envelope)
        if status == _OK:
            return msgspec.json.decode(envelope.result, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise NightsafeError(Code.UNAVAILABLE, "the server at the API's address is not a Nightsafe API") from None
    raise NightsafeError(_CODES.get(status, Code.UNAVAILABLE), _error_message(status, envelope))


def _error_message(status: int, envelope: Any) -> str:
    """Return why the API refused a request."""
    if _CODES.get(status) is Code.NOT_PERMITTED:
        return "the token lacks the permission Nightsafe Resealing on this account"
    messages = "; ".join(error.message for error in envelope.errors)[:_MAX_MESSAGE]
    return f"the API answered {status}: {messages}" if messages else f"the API answered {status}"
