"""Segments of a path, and paths of products that Nightsafe does not offer."""

from urllib.parse import quote

from nightsafe.api.http.path import decode_segment, script_of
from nightsafe.api.unsupported.paths import refusal_of
from nightsafe.errors import Code, NightsafeError


def check(data: bytes) -> None:
    """Check that a segment decodes once, to text whose encoding decodes to it again, or that the name is refused."""
    refusal_of(data)
    try:
        name = decode_segment(data.decode("latin-1"), data)
    except NightsafeError as refused:
        assert refused.code is Code.BAD_IDENTIFIER
        return
    assert decode_segment(quote(name, safe=""), data) == name
    assert script_of("0" * 32, {"script_name": name}).name == name
