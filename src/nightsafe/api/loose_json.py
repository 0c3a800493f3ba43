"""JSON from clients that call it plain text.

wrangler's commands for Pages and the Secrets Store send JSON as a bare string, which its HTTP library labels
`text/plain;charset=UTF-8`.
"""

from typing import Any

from nightsafe.api.body import check_json_type, parse_json_aside, read
from nightsafe.api.call import Call

_PLAIN = b"text/plain"


async def read_loose_json(call: Call, empty: Any = None) -> Any:
    """The body's JSON value, under the Content-Type of JSON or of plain text.

    Args:
        call: the request.
        empty: what no body at all stands for; by default it is refused.

    Raises:
        NightsafeError: CONTENT_TYPE, BODY_TOO_LARGE, BODY_UNREADABLE or TIMEOUT.
    """
    call.refuse_encoding()
    content_type = call.headers.get(b"content-type", b"")
    if content_type.partition(b";")[0].strip().lower() != _PLAIN:
        check_json_type(content_type)
    body = await read(call.receive, call.limits.max_body_bytes, call.limits.body_seconds)
    return empty if empty is not None and not body else await parse_json_aside(body)
