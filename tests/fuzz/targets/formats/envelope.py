"""Answers of a server as the client reads them; the first three bytes are the status."""

from typing import Any

from nightsafe.client.envelope import page_of, read_nothing, read_result, result_of, wrapped_page_of
from nightsafe.client.errors import APIError
from nightsafe.client.messages import Origin, Request, Response

_READERS: tuple[Any, ...] = (
    result_of(dict[str, Any]),
    page_of(dict[str, Any]),
    wrapped_page_of(dict[str, Any]),
    read_nothing,
)
_REQUEST = Request("GET", Origin("http", "safe.example", 80), b"/", ())
_STATUSES = range(100, 1000)


def check(data: bytes) -> None:
    """Check that each reader gives a result or the client's one error for any answer of a server."""
    status = int(data[:3]) if data[:3].isdigit() else 200
    if status not in _STATUSES:
        return
    for read in _READERS:
        try:
            read_result(read, _REQUEST, Response(status, [(b"content-type", b"application/json")], data[3:]))
        except APIError as refused:
            assert str(refused)
            assert repr(refused)
