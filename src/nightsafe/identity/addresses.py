"""Sets of IP addresses, stored as sorted intervals: a lookup is a binary search, however many ranges there are."""

import ipaddress
from bisect import bisect_right
from collections.abc import Iterable
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Interval = tuple[int, int]
"""The first address of a range, and the first address after the range."""

_MAPPED: Final = 0xFFFF << 32
"""The first IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2)."""

_ALL: Final = {4: 1 << 32, 6: 1 << 128}


class Intervals:
    """A set of integers.

    Args:
        intervals: the intervals in the set, in any order.
    """

    def __init__(self, intervals: Iterable[Interval]) -> None:
        merged: list[Interval] = []
        for first, after in sorted(intervals):
            if merged and first <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(merged[-1][1], after)
            else:
                merged.append((first, after))
        self.intervals: Final = merged
        self._firsts: Final = [first for first, _ in merged]

    def contains(self, first: int, after: int | None = None) -> bool:
        """Return whether the set contains an integer, or a range of integers.

        Args:
            first: the integer, or the first of the range.
            after: the first integer after the range, or None for the one integer.
        """
        index = bisect_right(self._firsts, first) - 1
        return index >= 0 and (first + 1 if after is None else after) <= self.intervals[index][1]

    def is_subset_of(self, other: "Intervals") -> bool:
        """Return whether this set is a subset of another."""
        return all(other.contains(first, after) for first, after in self.intervals)

    def difference(self, other: "Intervals") -> "Intervals":
        """Return the difference of this set and another."""
        remaining: list[Interval] = []
        removed_intervals = iter([*other.intervals, (2 * _ALL[6], 2 * _ALL[6])])
        removed = next(removed_intervals)
        for first, after in self.intervals:
            start = first
            while removed[1] <= start:
                removed = next(removed_intervals)
            while removed[0] < after:
                if start < removed[0]:
                    remaining.append((start, removed[0]))
                start = removed[1]
                if start >= after:
                    break
                removed = next(removed_intervals)
            if start < after:
                remaining.append((start, after))
        return Intervals(remaining)


class Addresses:
    """A set of IP addresses. An IPv4-mapped IPv6 address is in it if an IPv4 range or an IPv6 range contains it.

    Args:
        allowed: the allowed ranges; empty for every address.
        denied: ranges to remove from the allowed ones.
    """

    def __init__(self, allowed: Iterable[Network], denied: Iterable[Network]) -> None:
        allowed, denied = list(allowed), list(denied)
        self.by_version: Final = {
            version: Intervals(_intervals(allowed, version) if allowed else [(0, size)]).difference(
                Intervals(_intervals(denied, version))
            )
            for version, size in _ALL.items()
        }

    def contains(self, address: Address) -> bool:
        """Return whether the set contains an address."""
        return self.by_version[address.version].contains(int(address))

    def is_subset_of(self, other: "Addresses") -> bool:
        """Return whether this set is a subset of another."""
        return all(mine.is_subset_of(other.by_version[version]) for version, mine in self.by_version.items())


def _intervals(networks: Iterable[Network], version: int) -> Iterable[Interval]:
    """Yield ranges as intervals of addresses of one IP version."""
    for network in networks:
        first = int(network.network_address)
        if network.version == version:
            yield first, first + network.num_addresses
        elif version == 6:  # noqa: PLR2004 - IPv6
            yield _MAPPED + first, _MAPPED + first + network.num_addresses
