"""Changes of one place in a JSON value."""

import copy
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]


def places(value: Any, at: Path = ()) -> Iterator[Path]:
    """Yield the path of each member and element, the outermost first."""
    members: list[Any] = []
    if isinstance(value, dict):
        members = list(value)
    elif isinstance(value, list):
        members = list(range(len(value)))
    for member in members:
        yield (*at, member)
        yield from places(value[member], (*at, member))


def replaced(value: Any, path: Path, new: Any) -> Any:
    """Return a copy with `new` in this place."""
    whole = copy.deepcopy(value)
    _parent(whole, path)[path[-1]] = new
    return whole


def without(value: Any, path: Path) -> Any:
    """Return a copy without this place."""
    whole = copy.deepcopy(value)
    del _parent(whole, path)[path[-1]]
    return whole


def _parent(whole: Any, path: Path) -> Any:
    """Return the object or array that contains the place."""
    for member in path[:-1]:
        whole = whole[member]
    return whole
