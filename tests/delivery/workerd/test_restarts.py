"""Tasks and the API process start again after any failure."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.delivery.workerd.test_keep_running import until
from tests.failing_awaits import Boom, Thrower, awaits_of, thrown

from nightsafe.delivery.keep_running import keep_running
from nightsafe.errors import NightsafeError


@pytest.mark.parametrize("number", range(len(awaits_of("nightsafe.delivery.keep_running"))))
async def test_restarting_goes_on_after_an_error_at_any_await(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The function that restarts tasks survives an error at each of its own awaits."""
    thrower = Thrower()
    module = thrown("nightsafe.delivery.keep_running", thrower)
    module.__dict__.update(_FIRST_PAUSE=0.001, _LONGEST_PAUSE=0.001)
    begun: list[int] = []

    async def work() -> None:
        """Fail."""
        begun.append(1)
        raise Boom

    thrower.arm(number, "before", Boom())
    task = asyncio.create_task(module.keep_running("fails", work))
    await until(lambda: len(begun) > 3)
    task.cancel()
    assert thrower.struck
    del monkeypatch


API = "nightsafe.cli.server.api_process"
OF_API = ("watch", "_launch", "_wait_for_end", "_kill")
FAKE = """#!/bin/sh
cd {folder}
echo $$ >> pids
[ -e hangs ] && exec sleep 60
[ -e mute ] || echo listening on http://x
"""


@pytest.mark.parametrize("number", range(len(awaits_of(API, only=OF_API))))
async def test_the_api_restarts_after_an_error_at_any_await(tmp_path: Path, number: int) -> None:
    """After an error at any await of its keeper, an API process that ends, hangs or says nothing is replaced."""
    fake, pids = tmp_path / "python", tmp_path / "pids"
    fake.write_text(FAKE.format(folder=tmp_path))
    fake.chmod(0o700)
    thrower = Thrower()
    module = thrown(API, thrower, only=OF_API)
    module.__dict__.update(sys=SimpleNamespace(executable=str(fake)), _END_SECONDS=0.01)
    patience = module.RestartLimits(deaths=1 << 30, pause_seconds=0.0, longest_pause_seconds=0.0, start_seconds=0.2)
    api = module.ApiProcess([], SimpleNamespace(fileno=lambda: 0, close=lambda: None), patience)
    await api._launch()
    thrower.arm(number, "after", Boom())
    running = asyncio.create_task(keep_running("api", api.watch, fatal=(NightsafeError,)))

    async def until_started(times: int) -> None:
        """Wait until the process was started this many times from now on."""
        before = len(pids.read_text().split())
        await until(lambda: len(pids.read_text().split()) >= before + times)

    await until_started(2)
    for state in ("mute", "hangs"):
        (tmp_path / state).touch()
        await until_started(2)
        (tmp_path / state).unlink()
    await until_started(1)
    assert not running.done()
    assert thrower.struck
    while not running.done():
        running.cancel()
        await asyncio.wait({running}, timeout=1)  # a second cancellation would leave a starting process behind
    await api._kill()
