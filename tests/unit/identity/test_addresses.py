"""Sets of addresses as intervals, compared with sets of numbers."""

from hypothesis import given, settings
from hypothesis import strategies as st

from nightsafe.identity.addresses import Intervals
from nightsafe.identity.conditions import Condition, Networks, RequestIp

INTERVALS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 12)).filter(lambda one: one[0] < one[1]), max_size=4
)
RANGES = st.lists(
    st.sampled_from([
        "0.0.0.0/0", "::/0", "192.0.2.0/24", "192.0.2.7", "192.0.2.0/25", "192.0.2.128/25", "2001:db8::/32",
        "10.0.0.0/8", "::ffff:0:0/96", "::ffff:192.0.2.0/120",
    ]),
    max_size=3,
).map(tuple)  # fmt: skip
SOURCES = [
    "192.0.2.7", "192.0.2.8", "192.0.2.200", "10.1.1.1", "203.0.113.1", "::1", "2001:db8::7", "::ffff:192.0.2.7",
    "::ffff:192.0.2.200", "::ffff:10.1.1.1", "::ffff:203.0.113.1",
]  # fmt: skip


def numbers(intervals: list[tuple[int, int]]) -> set[int]:
    """Return all numbers in the intervals."""
    return {number for first, after in intervals for number in range(first, after)}


@given(INTERVALS, INTERVALS)
@settings(deadline=None)
def test_intervals_behave_as_sets(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    """Membership, difference and inclusion of intervals equal those of sets."""
    left = Intervals(one).difference(Intervals(other))

    assert numbers(one) == {number for number in range(14) if Intervals(one).contains(number)}
    assert numbers(one) - numbers(other) == {number for number in range(14) if left.contains(number)}
    assert (numbers(one) <= numbers(other)) is Intervals(one).is_subset_of(Intervals(other))


@given(RANGES, RANGES, RANGES, RANGES)
@settings(deadline=None)
def test_a_narrower_condition_admits_no_more(
    inside: tuple[str, ...], outside: tuple[str, ...], wider: tuple[str, ...], holes: tuple[str, ...]
) -> None:
    """Every address that passes the narrower condition passes the wider one, mapped into IPv6 or not."""
    narrow, wide = Networks(Condition(RequestIp(inside, outside))), Networks(Condition(RequestIp(wider, holes)))
    if narrow.is_subset_of(wide):
        assert all(wide.admit(source) for source in SOURCES if narrow.admit(source))
    assert narrow.is_subset_of(narrow)
    assert narrow.is_subset_of(Networks(Condition()))
