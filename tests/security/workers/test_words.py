"""Attacks by scripts that try to put text into the log, in every way that a script has."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx
import pytest
from msgspec import Struct
from structlog.testing import capture_logs
from tests.delivery.runtime import Runtime, text

WORD: Final = "sentinel4711word"
RUNS: Final = (Path(__file__).parent / "words.js").read_text()
SHIMMED: Final = 'import { env } from "cloudflare:workers"; const { T } = env; '
ENDING: Final = " export default { fetch: () => new Response('started') };"
STARTS: Final = {
    "throws": "throw new Error(T);",
    "throws-text": "throw T;",
    "throws-object": "throw { toString: () => T, message: T, name: T, stack: T };",
    "throws-name": "throw Object.assign(new Error(T), { name: T });",
    "throws-dom": "throw new DOMException(T, T);",
    "throws-stack": "throw Object.assign(new Error('x'), { stack: `Error\\n    at ${T} (index.js:1:1)` });",
    "throws-place": "throw new Error(`x\\n    at ${T} (${T}.js:1:1)\\n    at ${T}.js:1:1`);",
    "throws-sentence": 'throw new Error(`No such module "${T}".`);',
    "throws-class": "new ({ [T]: class { constructor() { throw new TypeError(T); } } })[T]();",
    "rejects": "await Promise.reject(new RangeError(T));",
    "rejects-nobody": "Promise.reject(new RangeError(T));",
    "imports": "await import(`./${T}`);",
    "imports-below": "await import(`./${T}/index.js`); 'index.js';",
    "imports-aside": "await import(`${T}/cloudflare:workers`);",
    "imports-in-words": 'throw new TypeError(`: No such module "${T}/index.js"`); "index.js";',
    "imports-in-url": 'throw new TypeError(`: No such module "file:///bundle/${T}/index.js"`); "./index.js";',
    "imports-not-found": 'throw new Error(`: Module not found: ${T}/index.js`); "./index.js";',
    "imports-other": "await import(`node:${T}`);",
}
CLASSIC: Final = {
    "classic-start": "throw new Error(T);",
    "classic": "addEventListener('fetch', () => { throw Object.assign(new Error(T), { name: T }); });",
    "classic-pass": "addEventListener('fetch', (event) => { event.passThroughOnException(); throw new Error(T); });",
}


class ScriptRun(Struct, frozen=True):
    """The results of a run of all scripts.

    Attributes:
        log: the log entries.
        answers: the answers to clients, by script and way.
        ways: the names of the ways in which the script `runs` outputs its value.
        last_report: the delivery process's report to the API.
        errors: the files to which each runtime writes its standard output and its standard error.
    """

    log: list[Any]
    answers: Mapping[str, httpx.Response]
    ways: list[str]
    last_report: Any
    errors: set[tuple[str, str]]


@pytest.fixture(scope="module")
def script_run() -> ScriptRun:
    """Return the results of requests to each script in each way; they run once for all tests of this module."""
    return asyncio.run(_ask())


async def _ask() -> ScriptRun:
    """Serve all scripts and send the requests."""
    bound = text("T", WORD)
    with TemporaryDirectory(prefix="ns-") as name, capture_logs() as log:
        async with Runtime(Path(name)) as runtime:
            answers = {}
            for script, code in STARTS.items():
                await runtime.upload(script, SHIMMED + code + ENDING, [bound])
                answers[script] = await runtime.get(script)
            for script, code in CLASSIC.items():
                files = {"worker.js": ("application/javascript", code.encode())}
                await runtime.upload(script, files, [bound], classic=True)
                answers[script] = await runtime.get(script)
            services = [
                {"type": "service", "name": entrypoint.upper(), "service": "runs", "entrypoint": entrypoint}
                for entrypoint in ("Called", "Built")
            ]
            await runtime.upload("runs", RUNS, [bound, *services])
            ways = (await runtime.get("runs")).json()
            async for way, answer in _ways(runtime, ways):
                answers[f"runs {way}"] = answer
            await _until_told(runtime, log)
            errors = set(map(_written_to, runtime.delivery.supervisor.pids()))
            return ScriptRun(log, answers, ways, runtime.source.last_report, errors)


def _written_to(pid: int) -> tuple[str, str]:
    """Return the files that are a process's standard output and standard error."""
    out, error = (str(Path(f"/proc/{pid}/fd/{end}").readlink()) for end in (1, 2))
    return out, error


async def _ways(runtime: Runtime, ways: list[str]) -> AsyncIterator[tuple[str, httpx.Response]]:
    """Yield the name of each way, and the script's answer to a request for it."""
    for way in ways:
        yield way, await runtime.get("runs", f"/{way}")


async def _until_told(runtime: Runtime, log: list[Any]) -> None:
    """Wait until the log has the report on the last request, and therefore all reports before it."""
    async with asyncio.timeout(60):
        while not any("4711:42" in one.get("stack", "") for one in log):
            await runtime.stats()


def test_no_text_of_a_script_is_in_the_log(script_run: ScriptRun) -> None:
    """No text that a running script chooses is in the log unless `--worker-output` is given: nothing that it prints,
    throws, imports or calls.
    """
    said = [one for one in script_run.log if WORD in str(one).lower()]

    assert [] == said
    assert {("/dev/null", "/dev/null")} == script_run.errors
    assert WORD not in str(script_run.last_report)
    events = [one["event"] for one in script_run.log]
    assert len(STARTS) - 3 <= events.count("script.not_started") <= len(STARTS) + 1
    assert events.count("script.threw") >= len(script_run.ways) - 2
    assert {"script.refused_outbound", "script.unanswered"} <= set(events)


def test_no_text_of_a_script_is_in_our_answer(script_run: ScriptRun) -> None:
    """When a script gives no answer, the answer that Nightsafe sends instead contains no text of the script."""
    ours = {way: answer for way, answer in script_run.answers.items() if answer.status_code >= 500}

    assert len(ours) > len(script_run.answers) - 6
    for way, answer in ours.items():
        assert WORD not in f"{answer.text} {answer.headers}".lower(), way


def test_a_script_can_put_numbers_into_the_log(script_run: ScriptRun) -> None:
    """A script can put numbers into the log: the script itself reports the module, the line and the request in which
    it threw.
    """
    assert "at index.js:4711:42" in [one.get("stack") for one in script_run.log]
    assert "4711471147114711-LOCAL" in [one.get("request") for one in script_run.log]
