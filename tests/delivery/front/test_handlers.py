"""Scripts that cannot answer a request, as only running them shows: the log says why, and the client gets a 500."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.delivery.runtime import CLASSIC, Runtime
from tests.effort import last_first

from nightsafe.bundle.runtime_flags import NEWEST_DATE

ENTRYPOINT = "import { WorkerEntrypoint } from 'cloudflare:workers'; export"
NO_HANDLER = ("script.not_started", "it has no fetch handler")
NO_EXPORT = ("script.not_started", "TypeError: an export is no class, function or object of handlers")
NO_VALUE = ("script.not_started", "TypeError: the default export is null or undefined")
UNANSWERED = ("script.unanswered", "the script did not answer")
REASONS = {
    "export const a = 1;": NO_EXPORT,
    "export default 'x';": NO_EXPORT,
    "export default undefined;": NO_VALUE,
    "export default null;": NO_VALUE,
    "export default {};": NO_HANDLER,
    "export default { fetch: 'x' };": NO_HANDLER,
    "export default { scheduled() {} };": NO_HANDLER,
    f"{ENTRYPOINT} default class extends WorkerEntrypoint {{ called() {{}} }}": NO_HANDLER,
    f"{ENTRYPOINT} class Named extends WorkerEntrypoint {{ called() {{}} }}": UNANSWERED,
    "export class Other {}": UNANSWERED,
    "export {};": UNANSWERED,
}


async def failure_of(runtime: Runtime, script: str) -> tuple[str, dict[str, Any]]:
    """Request a script that must answer 500; return the answer's text and the only event that was logged."""
    with capture_logs() as logs:
        answer = await runtime.get(script)
        async with asyncio.timeout(60):
            while not logs:  # noqa: ASYNC110 - nothing signals a log entry
                await asyncio.sleep(0.01)
        await runtime.delivery.supervisor.current.ask("/health")
    [event] = logs
    assert 500 == answer.status_code
    return answer.text, dict(event)


@pytest.mark.parametrize("date", last_first(["2021-11-02", "2026-04-01", NEWEST_DATE]))
async def test_a_module_without_a_handler_is_logged(runtime: Runtime, date: str) -> None:
    """The log names the script, the version and the reason."""
    for code, (event, reason) in REASONS.items():
        version = runtime.version("idle", code, compatibility_date=date)
        await runtime.serve("idle", version)
        answer, logged = await failure_of(runtime, "idle")

        assert (event, "idle") == (logged["event"], logged["script"]), code
        assert logged["reason"].startswith(reason), code
        assert version.id == logged["version"], code
        assert answer.startswith("the script"), code


async def test_a_classic_script_without_a_listener_is_logged(runtime: Runtime) -> None:
    """A classic script that listens to nothing is logged and answered 500."""
    await runtime.upload("idle", {"worker.js": (CLASSIC, b"1;")}, classic=True)
    answer, logged = await failure_of(runtime, "idle")

    assert UNANSWERED[0] == logged["event"]
    assert "has not answered" in answer


async def test_a_missing_handler_is_logged_once_per_version(runtime: Runtime) -> None:
    """Each version is logged once, however often it is requested; a next version with a handler answers."""
    await runtime.upload("idle", "export default {};")
    with capture_logs() as logs:
        for _ in range(5):
            assert "the script has no fetch handler\n" == (await runtime.get("idle")).text
    assert ["script.not_started"] == [log["event"] for log in logs]

    await runtime.upload("idle", "export default { fetch: () => new Response('answers') };")
    assert "answers" == (await runtime.get("idle")).text


async def test_fetch_from_a_script_without_a_handler_throws(runtime: Runtime) -> None:
    """`fetch` on a service binding throws; methods of such a script can still be called."""
    callee = f"{ENTRYPOINT} default class extends WorkerEntrypoint {{ called() {{ return 'called'; }} }}"
    caller = """export default { async fetch(request, env) {
      const words = await env.TARGET.fetch("http://target/").catch((error) => error.message);
      return new Response(`${await env.TARGET.called()} ${words}`);
    } };"""
    await runtime.upload("callee", callee)
    await runtime.upload("caller", caller, [{"type": "service", "name": "TARGET", "service": "callee"}])

    words = 'called The service "callee" of the binding TARGET cannot be called: the script has no fetch handler'
    assert words == (await runtime.get("caller")).text
