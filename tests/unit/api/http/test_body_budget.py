"""The memory budget of bodies: large bodies wait for memory, and small bodies never wait for large ones."""

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from nightsafe.api.http import body_budget as body_budget_module
from nightsafe.api.http.body_budget import BodyBudget, MemoryLane
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.limits import Limits

_MEGABYTE = 1 << 20
LIMITS = Limits(upload_memory=256 * _MEGABYTE)


def headers(size: int) -> dict[bytes, bytes]:
    """Return headers that announce a body of this size."""
    return {b"content-length": b"%d" % size}


async def settle() -> None:
    """Let every task run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def hold_until_told(lane: MemoryLane, size: int, go: asyncio.Event, held: list[int]) -> None:
    """Hold this many bytes of the budget until `go` is set."""
    async with lane.reserve(size):
        held.append(size)
        await go.wait()


async def test_large_bodies_in_memory_never_exceed_the_budget() -> None:
    """Only bodies that fit the budget are held at once; the others follow in their order of arrival."""
    budget, held, going = BodyBudget(LIMITS), list[int](), [asyncio.Event() for _ in range(20)]
    lane, size = budget.lane(headers(64 * _MEGABYTE)) or pytest.fail("it must wait")
    tasks = [asyncio.ensure_future(hold_until_told(lane, size, go, held)) for go in going]

    for ended, go in enumerate(going):
        await settle()
        assert len(held) == min(20, ended + 2)
        assert 2 * 64 * _MEGABYTE * (len(held) - ended) <= LIMITS.upload_memory
        go.set()
    await asyncio.gather(*tasks)

    assert lane.left == LIMITS.upload_memory


def test_small_bodies_do_not_wait_for_uploads() -> None:
    """A small body is not counted, and a large JSON body has a budget apart from that of uploads."""
    budget = BodyBudget(LIMITS)

    assert budget.lane({}) is None
    assert budget.lane(headers(0)) is None
    assert budget.lane(headers(8 * 1024)) is None
    assert budget.lane(headers(LIMITS.max_body_bytes)) == (budget.small, 2 * LIMITS.max_body_bytes)
    assert budget.lane(headers(LIMITS.max_body_bytes + 1)) == (budget.large, 2 * LIMITS.max_body_bytes + 2)


@pytest.mark.parametrize(
    "announced", [{b"transfer-encoding": b"chunked"}, {b"content-length": b"-1"}, headers(10**15)]
)
def test_a_body_of_unknown_size_counts_as_the_largest(announced: dict[bytes, bytes]) -> None:
    """A body without a usable Content-Length counts as large as the largest upload."""
    budget = BodyBudget(LIMITS)

    assert budget.lane(announced) == (budget.large, 2 * LIMITS.max_upload_bytes)


async def test_a_body_that_waits_too_long_is_refused() -> None:
    """A body that waits for too long is refused with 503; the budget is unchanged and the next body is let in."""
    lane, go, held = MemoryLane(10, 0.01), asyncio.Event(), list[int]()
    holding = asyncio.ensure_future(hold_until_told(lane, 8, go, held))
    await settle()

    with pytest.raises(NightsafeError) as caught:
        await hold_until_told(lane, 5, go, held)

    assert caught.value.code is Code.UNAVAILABLE
    assert (lane.left, held) == (2, [8])
    go.set()
    await holding
    await hold_until_told(lane, 10, go, held)
    assert (lane.left, held) == (10, [8, 10])


async def test_an_aborted_request_gives_its_budget_back() -> None:
    """An aborted request gives its memory back if it held some, was waiting, or had just been let in."""
    lane, go, held = MemoryLane(10, 60.0), asyncio.Event(), list[int]()
    first, second, third = (asyncio.ensure_future(hold_until_told(lane, size, go, held)) for size in (10, 10, 4))
    await settle()
    second.cancel()
    await settle()
    first.cancel()
    await asyncio.sleep(0)  # the third may start now, but its task has not run yet
    third.cancel()
    await asyncio.gather(first, second, third, return_exceptions=True)

    assert lane.left == 10
    go.set()
    await hold_until_told(lane, 10, go, held)


@pytest.mark.parametrize("others_wait", [True, False])
async def test_a_slow_body_is_refused_only_while_others_wait(
    monkeypatch: pytest.MonkeyPatch,
    others_wait: bool,  # noqa: FBT001 - a parameter
) -> None:
    """A slow body is refused after a third of the waiting time, but only while other bodies wait."""
    seconds = iter(range(100))
    monkeypatch.setattr(body_budget_module, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    lane, go, held = MemoryLane(10, 30.0), asyncio.Event(), list[int]()

    async def part() -> dict[str, Any]:
        """Return a part of a body, one second after the previous part."""
        await asyncio.sleep(0)
        return {"type": "http.request", "body": bytes(16 * 1024), "more_body": True}

    async def hold_slowly() -> None:
        """Hold the whole budget while the slow body arrives."""
        async with lane.reserve(10):
            receive = lane.with_minimum_speed(part)
            for _ in range(60):
                await receive()

    holding = asyncio.ensure_future(hold_slowly())
    await asyncio.sleep(0)
    go.set()
    if others_wait:
        await hold_until_told(lane, 10, go, held)
        with pytest.raises(NightsafeError, match="slower than") as caught:
            await holding
        assert caught.value.code is Code.UNAVAILABLE
        assert next(seconds) == 12
    else:
        await holding

    assert lane.left == 10


async def test_a_body_over_the_whole_budget_is_let_in_alone() -> None:
    """A body larger than the whole budget is let in when no other body is held."""
    lane, go, held = MemoryLane(10, 60.0), asyncio.Event(), list[int]()
    tasks = [asyncio.ensure_future(hold_until_told(lane, 1000, go, held)) for _ in range(2)]
    await settle()

    assert held == [1000]
    go.set()
    await asyncio.gather(*tasks)
    assert msgspec.structs.replace(LIMITS, upload_memory=1) != LIMITS
