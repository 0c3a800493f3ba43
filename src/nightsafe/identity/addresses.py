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
        joined: list[Interval] = []
        for first, after in sorted(intervals):
            if joined and first <= joined[-1][1]:
                joined[-1] = joined[-1][0], max(joined[-1][1], after)
            else:
                joined.append((first, after))
        self.joined: Final = joined
        self._firsts: Final = [first for first, _ in joined]

    def holds(self, first: int, after: int | None = None) -> bool:
        """Return whether the set contains an integer, or a range of integers.

        Args:
            first: the integer, or the first of the range.
            after: the first integer after the range, or None for the one integer.
        """
        place = bisect_right(self._firsts, first) - 1
        return place >= 0 and (first + 1 if after is None else after) <= self.joined[place][1]

    def within(self, other: "Intervals") -> bool:
        """Return whether this set is a subset of another."""
        return all(other.holds(first, after) for first, after in self.joined)

    def without(self, other: "Intervals") -> "Intervals":
        """Return the difference of this set and another."""
        left: list[Interval] = []
        holes = iter([*other.joined, (2 * _ALL[6], 2 * _ALL[6])])
        hole = next(holes)
        for first, after in self.joined:
            start = first
            while hole[1] <= start:
                hole = next(holes)
            while hole[0] < after:
                if start < hole[0]:
                    left.append((start, hole[0]))
                start = hole[1]
                if start >= after:
                    break
                hole = next(holes)
            if start < after:
                left.append((start, after))
        return Intervals(left)


class Addresses:
    """A set of IP addresses. An IPv4-mapped IPv6 address is in it if an IPv4 range or an IPv6 range contains it.

    Args:
        allowed: the allowed ranges; empty for every address.
        denied: ranges to remove from the allowed ones.
    """

    def __init__(self, allowed: Iterable[Network], denied: Iterable[Network]) -> None:
        allowed, denied = list(allowed), list(denied)
        self.by_version: Final = {
            version: Intervals(_intervals(allowed, version) if allowed else [(0, size)]).without(
                Intervals(_intervals(denied, version))
            )
            for version, size in _ALL.items()
        }

    def hold(self, address: Address) -> bool:
        """Return whether the set contains an address."""
        return self.by_version[address.version].holds(int(address))

    def within(self, other: "Addresses") -> bool:
        """Return whether this set is a subset of another."""
        return all(mine.within(other.by_version[version]) for version, mine in self.by_version.items())


def _intervals(networks: Iterable[Network], version: int) -> Iterable[Interval]:
    """Yield ranges as intervals of addresses of one IP version."""
    for network in networks:
        first = int(network.network_address)
        if network.version == version:
            yield first, first + network.num_addresses
        elif version == 6:  # noqa: PLR2004 - IPv6
            yield _MAPPED + first, _MAPPED + first + network.num_addresses
