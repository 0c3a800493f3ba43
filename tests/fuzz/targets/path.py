"""Segments of a path, and the members of headers that say how a body is encoded."""

from urllib.parse import quote

from nightsafe.api.http.path import decode_segment, script_of
from nightsafe.api.unsupported.paths import refusal_of
from nightsafe.errors import Code, NightsafeError


def one(data: bytes) -> None:
    """A segment decodes once, to text that encodes to bytes which decode to it again; or the name is refused."""
    refusal_of(data)
    try:
        name = decode_segment(data.decode("latin-1"), data)
    except NightsafeError as refused:
        assert refused.code is Code.BAD_IDENTIFIER
        return
    assert decode_segment(quote(name, safe=""), data) == name
    assert script_of("0" * 32, {"script_name": name}).name == name
