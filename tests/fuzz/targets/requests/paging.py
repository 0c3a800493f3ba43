"""Query strings, and the pages that they ask for."""

from nightsafe.api.http.paging import fields_of, page_of
from nightsafe.errors import Code, NightsafeError

_ITEMS = range(50)


def check(data: bytes) -> None:
    """Check that a query is refused as invalid, or asks for a page of bounded size, which may be empty."""
    try:
        page = page_of(fields_of(data))
    except NightsafeError as refused:
        assert refused.code is Code.INVALID
        return
    assert page.number >= 1
    assert 1 <= page.size <= 1000
    assert len(page.of(_ITEMS)) <= page.size
