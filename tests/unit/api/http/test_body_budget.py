"""Large bodies are let in by a budget of bytes, and small ones never wait for them."""

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from nightsafe.api.http import body_budget as body_budget_module
from nightsafe.api.http.body_budget import BodyBudget, Lane
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.limits import Limits

_MEGABYTE = 1 << 20
LIMITS = Limits(upload_memory=256 * _MEGABYTE)


def headers(size: int) -> dict[bytes, bytes]:
    """What announces a body of so many bytes."""
    return {b"content-length": b"%d" % size}


async def settle() -> None:
    """Let whatever can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def hold(lane: Lane, size: int, go: asyncio.Event, held: list[int]) -> None:
    """Have bytes until told to give them back."""
    async with lane.held(size):
        held.append(size)
        await go.wait()


async def test_twenty_large_bodies_are_never_in_memory_at_once() -> None:
    """Only so many are held as fit; each that ends lets the next one in, in the order in which they came."""
    budget, held, going = BodyBudget(LIMITS), list[int](), [asyncio.Event() for _ in range(20)]
    lane, size = budget.lane(headers(64 * _MEGABYTE)) or pytest.fail("it must wait")
    tasks = [asyncio.ensure_future(hold(lane, size, go, held)) for go in going]

    for ended, go in enumerate(going):
        await settle()
        assert len(held) == min(20, ended + 2)
        assert 2 * 64 * _MEGABYTE * (len(held) - ended) <= LIMITS.upload_memory
        go.set()
    await asyncio.gather(*tasks)

    assert lane.left == LIMITS.upload_memory


def test_small_bodies_wait_for_no_upload() -> None:
    """A secret's own body is not counted, the largest JSON body has another budget than uploads, and so has none."""
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
    """Nobody gets past the budget by not saying how much comes."""
    budget = BodyBudget(LIMITS)

    assert budget.lane(announced) == (budget.large, 2 * LIMITS.max_upload_bytes)


async def test_one_that_waits_in_vain_is_refused_and_leaves_nothing_behind() -> None:
    """After the time it is 503; the budget is as it was, and the next in line comes on."""
    lane, go, held = Lane(10, 0.01), asyncio.Event(), list[int]()
    holding = asyncio.ensure_future(hold(lane, 8, go, held))
    await settle()

    with pytest.raises(NightsafeError) as caught:
        await hold(lane, 5, go, held)

    assert caught.value.code is Code.UNAVAILABLE
    assert (lane.left, held) == (2, [8])
    go.set()
    await holding
    await hold(lane, 10, go, held)
    assert (lane.left, held) == (10, [8, 10])


async def test_an_aborted_request_gives_its_budget_back() -> None:
    """Whether it was held, waited, or was just let in when it was aborted."""
    lane, go, held = Lane(10, 60.0), asyncio.Event(), list[int]()
    first, second, third = (asyncio.ensure_future(hold(lane, size, go, held)) for size in (10, 10, 4))
    await settle()
    second.cancel()
    await settle()
    first.cancel()
    await asyncio.sleep(0)  # the third is let in now, and does not know it yet
    third.cancel()
    await asyncio.gather(first, second, third, return_exceptions=True)

    assert lane.left == 10
    go.set()
    await hold(lane, 10, go, held)


@pytest.mark.parametrize("others_wait", [True, False])
async def test_a_slow_body_holds_up_nobody_who_waits(
    monkeypatch: pytest.MonkeyPatch,
    others_wait: bool,  # noqa: FBT001 - a parameter
) -> None:
    """After a third of the time for which others wait it is refused, and they are let in; alone it may be slow."""
    seconds = iter(range(100))
    monkeypatch.setattr(body_budget_module, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    lane, go, held = Lane(10, 30.0), asyncio.Event(), list[int]()

    async def part() -> dict[str, Any]:
        """A second's part of a body that is slower than it may be."""
        await asyncio.sleep(0)
        return {"type": "http.request", "body": bytes(16 * 1024), "more_body": True}

    async def dribble() -> None:
        """Hold all there is for as long as that body takes."""
        async with lane.held(10):
            receive = lane.paced(part)
            for _ in range(60):
                await receive()

    holding = asyncio.ensure_future(dribble())
    await asyncio.sleep(0)
    go.set()
    if others_wait:
        await hold(lane, 10, go, held)
        with pytest.raises(NightsafeError, match="slower than") as caught:
            await holding
        assert caught.value.code is Code.UNAVAILABLE
        assert next(seconds) == 12
    else:
        await holding

    assert lane.left == 10


async def test_more_than_the_whole_budget_is_let_in_alone() -> None:
    """A small budget makes large uploads one by one, and not impossible."""
    lane, go, held = Lane(10, 60.0), asyncio.Event(), list[int]()
    tasks = [asyncio.ensure_future(hold(lane, 1000, go, held)) for _ in range(2)]
    await settle()

    assert held == [1000]
    go.set()
    await asyncio.gather(*tasks)
    assert msgspec.structs.replace(LIMITS, upload_memory=1) != LIMITS
