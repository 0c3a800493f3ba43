"""One page of a list of any length that is to be sorted, without holding others up."""

from collections.abc import AsyncIterable
from heapq import merge
from itertools import islice
from typing import Final

from nightsafe.api.paging import Page
from nightsafe.store.turns import in_turns

_RUN: Final = 500

Key = tuple[str | int, str]
"""What to sort by, then the name: the first is a text or a number throughout a list."""


async def names_on(page: Page, keys: AsyncIterable[Key], *, last_first: bool = False) -> tuple[list[str], int]:
    """The names on a page of the sorted list, and how many there are in all.

    Args:
        page: which.
        keys: of all, in any order; it gives others their turn.
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
