"""Work that a script continues after its answer, when `nightsafe run` is told to stop."""

import asyncio

from tests.clients.wire.talk import Wire
from tests.delivery.sink import Sink
from tests.live.tools.running import Run, upload
from tests.server import Safe

CODE = b"""
export default { fetch(request, env, ctx) {
  ctx.waitUntil(scheduler.wait(1000).then(() => fetch(`${env.SINK}/done`)));
  return new Response("answered");
} };"""


async def test_a_stop_waits_for_work_after_the_answer(safe: Safe) -> None:
    """SIGTERM lets the work finish, and the run ends as usual."""
    async with Sink() as sink:

        def run() -> int:
            """Request the script and then stop the run; return the exit code."""
            with Run(safe, "--reach-private") as own:
                with Wire.to(own) as wire:
                    upload(wire, "works", CODE, dict(sink.binding))
                assert "answered" == own.workers.text("works")
                return own.stop()

        assert 0 == await asyncio.to_thread(run)
        await sink.until("/done")
