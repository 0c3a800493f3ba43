# Made from aio/page.py by tools/generate_client.py: edit that one.
"""The pages of a list."""

from collections.abc import Callable, Iterator
from typing import Any, Generic, Self, TypeAlias, TypeVar

import msgspec

from nightsafe.client.call import Call
from nightsafe.client.envelope import ListPage
from nightsafe.client.model import Items, ResultInfo

T = TypeVar("T")
Fetch: TypeAlias = Callable[[Call[ListPage[Any]]], ListPage[Any]]


class Page(Generic[T]):
    """A page of a list.

    Args:
        fetch: sends the call for another page.
        call: the call that this page answers.
        listed: the answer.
    """

    def __init__(self, fetch: Fetch, call: Call[ListPage[T]], listed: ListPage[T]) -> None:
        self._fetch = fetch
        self._call = call
        self.items: list[T] = listed.items
        self.result_info: ResultInfo | None = listed.result_info

    def has_next_page(self) -> bool:
        """Tell whether there may be another page after this one."""
        return False

    def get_next_page(self) -> Self:
        """Return the page after this one.

        Raises:
            RuntimeError: when `has_next_page` is false.
        """
        if not self.has_next_page():
            raise RuntimeError("No next page expected; please check `.has_next_page()` before calling.")
        number = self._number() + 1
        call = msgspec.structs.replace(self._call, query={**self._call.query, "page": number})
        return type(self)(self._fetch, call, self._fetch(call))

    def iter_pages(self) -> Iterator[Self]:
        """Yield this page and all pages after it."""
        page = self
        while True:
            yield page
            if not page.has_next_page():
                return
            following = page.get_next_page()
            if not following.items or following.items == page.items:
                return  # the end, or a server that returns the same page for every number
            page = following

    def __iter__(self) -> Iterator[T]:
        """Yield every item of this page and of all pages after it."""
        for page in self.iter_pages():
            for item in page.items:
                yield item

    def __repr__(self) -> str:
        """Show the number of items."""
        return f"<{type(self).__name__} of {len(self.items)}>"

    def _number(self) -> int:
        """Return the number of this page."""
        number = self._call.query.get("page")
        return int(number) if isinstance(number, int | float) else 1


class SinglePage(Page[T]):
    """A list that has only one page."""

    @property
    def result(self) -> list[T]:
        """Return the items."""
        return self.items


class _NumberedPage(Page[T]):
    """A numbered page."""

    def has_next_page(self) -> bool:
        """Tell whether there may be another page: this page has items, and `result_info` does not exclude it."""
        info = self.result_info
        if not self.items or info is None:
            return bool(self.items)
        number = self._number()
        if info.total_pages is not None:
            return number < info.total_pages
        if info.total_count is not None and info.per_page:
            return number * info.per_page < info.total_count
        return True


class ArrayPage(_NumberedPage[T]):
    """A numbered page whose result is an array."""

    @property
    def result(self) -> list[T]:
        """Return the items."""
        return self.items


class ItemsPage(_NumberedPage[T]):
    """A numbered page whose result is an object, such as a page of versions or deployments."""

    @property
    def result(self) -> Items[T]:
        """Return the items, in the object that the API wraps them in."""
        return Items(self.items)
