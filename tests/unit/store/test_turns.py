"""Turns of the event loop: long work yields after each part, and one part runs in each turn."""

import asyncio
from itertools import pairwise

from nightsafe.store.turns import PART, in_turns, turn


async def test_other_tasks_run_after_each_part() -> None:
    """Between any two parts, other tasks on the loop run at least once."""
    others = 0

    async def bystander() -> None:
        """Count its own turns."""
        nonlocal others
        while True:
            others += 1
            await asyncio.sleep(0)

    triggers = asyncio.ensure_future(bystander())
    seen = [(item, others) async for item in in_turns(range(10 * PART))]
    triggers.cancel()

    assert [item for item, _ in seen] == list(range(10 * PART))
    parts = [{turns for _, turns in seen[start : start + PART]} for start in range(0, 10 * PART, PART)]
    assert all(len(part) == 1 for part in parts)
    assert all(max(before) < min(after) for before, after in pairwise(parts))


async def test_one_part_runs_in_each_turn_of_the_loop() -> None:
    """When twenty tasks work at once, no two parts run in the same turn, and all tasks progress equally."""
    loop, now, ran = asyncio.get_running_loop(), 0, list[tuple[int, int]]()

    def tick() -> None:
        """Count the turns of the loop."""
        nonlocal now
        now += 1
        ticking.append(loop.call_soon(tick))

    ticking = [loop.call_soon(tick)]

    async def work(number: int) -> None:
        """Do five parts."""
        for _ in range(5):
            await turn()
            ran.append((now, number))

    await asyncio.gather(*(work(number) for number in range(20)))
    ticking[-1].cancel()

    assert len({when for when, _ in ran}) == len(ran) == 100
    assert [number for _, number in ran] == [*range(20)] * 5


async def test_a_cancelled_task_blocks_no_other() -> None:
    """A task that is cancelled while it waits for its turn does not block the others."""
    first, second = asyncio.ensure_future(turn()), asyncio.ensure_future(turn())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, second, return_exceptions=True)

    assert second.done()
    assert not second.cancelled()
