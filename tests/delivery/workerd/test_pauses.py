"""Changes after a pause in which kept connections may have closed: no request is affected."""

import asyncio
from pathlib import Path

import httpx
import pytest
from tests.delivery.runtime import Runtime, text

SCRIPT = """export default { async fetch(request, env) {
  if (request.url.endsWith("/slow")) await scheduler.wait(GAP);
  return new Response(env.TOKEN);
} };"""
GAPS = (1, 14, 16, 20, 65)


async def _change_twice(own_runtime: Runtime, gap: int) -> None:
    """Change a script's secret twice, each time after `gap` quiet seconds, while a slow request runs."""
    code = SCRIPT.replace("GAP", str(gap * 1000 + 3000))
    name = f"after-{gap}"
    await own_runtime.upload(name, code, [text("TOKEN", "first")])
    first = own_runtime.delivery.supervisor.current.pid
    for value, before in (("second", "first"), ("third", "second")):
        slow = asyncio.create_task(own_runtime.get(name, "/slow"))
        assert before == (await own_runtime.get(name)).text
        await asyncio.sleep(gap)
        await own_runtime.upload(name, code, [text("TOKEN", value)])
        assert value == (await own_runtime.get(name)).text
        assert before == (await slow).text
    assert (first, 0) == (own_runtime.delivery.supervisor.current.pid, own_runtime.delivery.supervisor.restarts)


@pytest.mark.slow
async def test_a_change_after_a_pause_interrupts_nothing(folder: Path) -> None:
    """After a pause of any length workerd stays the same, and requests under way end with their first value."""
    async with asyncio.TaskGroup() as group:
        for gap in GAPS:
            own = folder / str(gap)
            own.mkdir()
            group.create_task(_change_alone(own, gap))


async def _change_alone(folder: Path, gap: int) -> None:
    """Run it on a delivery process of its own, where nothing else keeps the connections in use."""
    async with Runtime(folder) as own_runtime:
        own_runtime.client.timeout = httpx.Timeout(gap + 60)
        await _change_twice(own_runtime, gap)
