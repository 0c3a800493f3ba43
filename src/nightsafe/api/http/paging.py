"""Reads `page` and `per_page`, and answers with a page and its `result_info`. A page past the end is empty."""

from collections.abc import AsyncIterable, Sequence
from heapq import merge
from itertools import islice
from typing import Final, TypeVar
from urllib.parse import parse_qs

import msgspec
from msgspec import Struct

from nightsafe.api.http.envelope import Reply
from nightsafe.errors import Code, NightsafeError
from nightsafe.store.turns import in_turns

T = TypeVar("T")

_MAX_DIGITS = 9
_MAX_FIELDS = 100


class Page(Struct, frozen=True):
    """The requested part of a list.

    Attributes:
        number: the number of the page, from 1.
        size: the number of items on a page.
    """

    number: int = 1
    size: int = 20

    def of(self, items: Sequence[T]) -> Sequence[T]:
        """Return the items of this page."""
        start = (self.number - 1) * self.size
        return items[start : start + self.size]


def fields_of(query: bytes) -> dict[str, str]:
    """Return a query string's fields, decoded. If a name occurs more than once, the last one counts.

    Raises:
        NightsafeError: INVALID, for too many fields.
    """
    return {name: values[-1] for name, values in lists_of(query).items()}


def lists_of(query: bytes) -> dict[str, list[str]]:
    """Return all values of each of a query string's fields, decoded.

    Raises:
        NightsafeError: INVALID, for too many fields.
    """
    try:
        return parse_qs(query.decode("latin-1"), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise NightsafeError(Code.INVALID, f"send at most {_MAX_FIELDS} query parameters") from None


def page_of(fields: dict[str, str], max_size: int = 1000) -> Page:
    """Return the page that a query asks for. A size beyond `max_size` is reduced to it.

    Raises:
        NightsafeError: INVALID, for a page or size that is not a whole number from 1.
    """
    default = Page()
    number, size = whole_number(fields, "page", default.number), whole_number(fields, "per_page", default.size)
    return Page(number, min(size, max_size))


def page_reply(items: Sequence[object], page: Page, total: int) -> Reply:
    """Return a 200 with the items of one page, and its position among `total`."""
    return page_reply_of(items, page, len(items), total)


def page_reply_of(result: object, page: Page, count: int, total: int) -> Reply:
    """Return a 200 with a result that holds `count` items of one page, and its position among `total`."""
    envelope = {
        "result": result,
        "success": True,
        "errors": [],
        "messages": [],
        "result_info": {
            "page": page.number,
            "per_page": page.size,
            "count": count,
            "total_count": total,
            "total_pages": -(-total // page.size),
        },
    }
    return Reply(200, msgspec.json.encode(envelope) + b"\n")


def whole_number(fields: dict[str, str], name: str, default: int) -> int:
    """Return a query's whole number from 1, also in the form `2.0` that some clients send.

    Args:
        fields: the query's fields.
        name: the field to read.
        default: the result when the field is absent.

    Raises:
        NightsafeError: INVALID, for anything else.
    """
    text = fields.get(name)
    if text is None:
        return default
    digits = text.removesuffix(".0")
    if digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS and int(digits) > 0:
        return int(digits)
    raise NightsafeError(Code.INVALID, f"'{name}' must be a whole number from 1")


_RUN: Final = 500

Key = tuple[str | int, str]
"""A sort key, then a name. All sort keys of a list are texts, or all are numbers."""


async def names_on(page: Page, keys: AsyncIterable[Key], *, last_first: bool = False) -> tuple[list[str], int]:
    """Return the names on a page of the sorted list, and the length of the list.

    Args:
        page: the page.
        keys: the keys of the whole list, in any order. The iterator lets other requests run in between.
        last_first: whether the largest comes first.
    """
    runs, run, total = list[list[Key]](), list[Key](), 0
    async for key in keys:
        run.append(key)
        total += 1
        if len(run) == _RUN:
            runs.append(sorted(run, reverse=last_first))
            run = []
    merged = merge(*runs, sorted(run, reverse=last_first), reverse=last_first)
    end = page.number * page.size
    names = [name async for _, name in in_turns(islice(merged, end), _RUN)]
    return names[end - page.size :], total
