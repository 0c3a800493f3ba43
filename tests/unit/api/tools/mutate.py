"""Every place in a JSON value, and the value with something else in that place."""

import copy
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]


def places(value: Any, at: Path = ()) -> Iterator[Path]:
    """The path of each member and element, the outermost first."""
    members: list[Any] = []
    if isinstance(value, dict):
        members = list(value)
    elif isinstance(value, list):
        members = list(range(len(value)))
    for member in members:
        yield (*at, member)
        yield from places(value[member], (*at, member))


def replaced(value: Any, path: Path, new: Any) -> Any:
    """A copy with `new` in a place."""
    whole = copy.deepcopy(value)
    _parent(whole, path)[path[-1]] = new
    return whole


def without(value: Any, path: Path) -> Any:
    """A copy without what is in a place."""
    whole = copy.deepcopy(value)
    del _parent(whole, path)[path[-1]]
    return whole


def _parent(whole: Any, path: Path) -> Any:
    """What the place is in."""
    for member in path[:-1]:
        whole = whole[member]
    return whole
