"""An authenticated request, as a resource's handler gets it."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from msgspec import Struct

from nightsafe.api.http.body import Receive, check_json_type, parse_json_in_thread, read
from nightsafe.api.http.envelope import Reply
from nightsafe.api.http.path import script_of
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.caller import Caller
from nightsafe.services.limits import Limits
from nightsafe.store.scripts import ScriptRef

_SOURCES = ((b"wrangler/", "wrangler"), (b"terraform", "terraform"))


class Call(Struct, frozen=True, kw_only=True):
    """A request whose route, account and caller are known.

    Attributes:
        caller: the caller.
        account_id: the account in the path, or "".
        names: the path's other names, decoded.
        query: the query string as it arrived.
        headers: values by lower-case name. If a name occurs more than once, the last one counts.
        receive: the ASGI callable that receives the body.
        limits: the limits of the body.
    """

    caller: Caller
    account_id: str
    names: dict[str, str]
    query: bytes
    headers: dict[bytes, bytes]
    receive: Receive
    limits: Limits

    @property
    def script(self) -> ScriptRef:
        """Return the script that the path names."""
        return script_of(self.account_id, self.names)

    def has_parameter(self, parameter: str, value: str) -> bool:
        """Tell whether the query gives a parameter this value."""
        return value in parse_qs(self.query.decode("latin-1")).get(parameter, ())

    async def json(self, *, merge_patch: bool = False) -> Any:
        """Return the body's JSON value.

        Raises:
            NightsafeError: CONTENT_TYPE, BODY_TOO_LARGE, BODY_UNREADABLE or TIMEOUT.
        """
        self.refuse_encoding()
        check_json_type(self.headers.get(b"content-type", b""), merge_patch=merge_patch)
        return await parse_json_in_thread(
            await read(self.receive, self.limits.max_body_bytes, self.limits.body_seconds)
        )

    def refuse_encoding(self) -> None:
        """Refuse a compressed body.

        Raises:
            NightsafeError: CONTENT_TYPE.
        """
        if self.headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise NightsafeError(Code.CONTENT_TYPE, "send the body without a Content-Encoding")


Handler = Callable[[Call], Awaitable[Reply]]


def source_of(user_agent: bytes) -> str:
    """Return the kind of client that sent a request, as the API shows it for a version."""
    agent = user_agent.lower()
    return next((source for mark, source in _SOURCES if mark in agent), "api")


_PLAIN = b"text/plain"


async def read_loose_json(call: Call, empty: Any = None) -> Any:
    """Return the body's JSON value. The Content-Type may be JSON or plain text.

    Args:
        call: the request.
        empty: the value of an empty body; by default an empty body is refused.

    Raises:
        NightsafeError: CONTENT_TYPE, BODY_TOO_LARGE, BODY_UNREADABLE or TIMEOUT.
    """
    call.refuse_encoding()
    content_type = call.headers.get(b"content-type", b"")
    if content_type.partition(b";")[0].strip().lower() != _PLAIN:
        check_json_type(content_type)
    body = await read(call.receive, call.limits.max_body_bytes, call.limits.body_seconds)
    return empty if empty is not None and not body else await parse_json_in_thread(body)
