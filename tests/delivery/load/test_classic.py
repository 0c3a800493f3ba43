"""Classic (service worker) scripts run in the global scope, with the runtime's own events."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.delivery.runtime import CLASSIC, KEY, Binding, Runtime, text
from tests.effort import last_first

from nightsafe.bundle.runtime_flags import NEWEST_DATE
from nightsafe.delivery.workerd.limits import Limits

DATES = ["", "2022-10-31", "2025-06-01", NEWEST_DATE]


async def classic(
    runtime: Runtime, code: str, bindings: list[Binding] | None = None, name: str = "worker.js", **members: Any
) -> None:
    """Upload a classic script as `classic`."""
    await runtime.upload("classic", {name: (CLASSIC, code.encode())}, bindings or [], classic=True, **members)


@pytest.mark.parametrize("date", last_first(DATES))
async def test_a_classic_script_has_a_global_scope(runtime: Runtime, date: str) -> None:
    """Code runs in the global scope in sloppy mode; without a CommonJS wrapper, UMD code defines globals."""
    code = """
      var declared = 1; function named() { return this === globalThis && arguments.callee === named; }
      implicit = 2; let lexical = 3; const here = this;
      (function (root, factory) {
        if (typeof exports === "object" && typeof module !== "undefined") factory(exports);
        else if (typeof define === "function" && define.amd) define(["exports"], factory);
        else factory((root = typeof globalThis !== "undefined" ? globalThis : root || self).Library = {});
      })(this, function (exports) { exports.answer = 42; });
      with ({ within: 4 }) { var found = within; }
      TOKEN = TOKEN + "!";
      addEventListener("fetch", (event) => event.respondWith(new Response(JSON.stringify({
        declared: globalThis.declared, named: self.named(), implicit: globalThis.implicit, lexical,
        none: globalThis.lexical === undefined, here: here === globalThis, library: Library.answer, found,
        wrapper: [typeof module, typeof exports, typeof require, typeof define, typeof __filename].join(),
        token: globalThis.TOKEN, key: KEY instanceof CryptoKey,
        names: Object.keys(globalThis).filter((name) => /nightsafe/i.test(name)) }))));"""
    await classic(runtime, code, [text("TOKEN", "secret"), KEY], compatibility_date=date)

    told = (await runtime.get("classic")).json()

    assert {
        "declared": 1,
        "named": True,
        "implicit": 2,
        "lexical": 3,
        "none": True,
        "here": True,
        "library": 42,
        "found": 4,
        "wrapper": ",".join(["undefined"] * 5),
        "token": "secret!",
        "key": True,
        "names": [],
    } == told


@pytest.mark.parametrize("date", last_first(DATES))
async def test_a_classic_script_gets_the_runtime_s_events(runtime: Runtime, date: str) -> None:
    """An event is the runtime's and is answered once, while its handler runs; later listeners are not called."""
    code = """
      let twice, other = "not asked";
      const attempt = (what) => { try { what(); return "taken"; } catch (error) { return error.name; } };
      addEventListener("fetch", (event) => {
        event.passThroughOnException();
        event.waitUntil(Promise.resolve());
        event.respondWith(answer(event));
        twice = attempt(() => event.respondWith(new Response("second")));
      });
      addEventListener("fetch", (event) => { other = attempt(() => event.respondWith(new Response("other"))); });
      async function answer(event) {
        await null;
        const late = attempt(() => event.respondWith(new Response("late")));
        return new Response(JSON.stringify({ type: event.type, late, twice, other,
          kinds: [FetchEvent, ExtendableEvent, Event].map((kind) => event instanceof kind),
          request: event.request instanceof Request, method: event.request.method }));
      }"""
    await classic(runtime, code, compatibility_date=date)

    told = (await runtime.get("classic")).json()

    refused = "InvalidStateError"
    assert ("fetch", [True, True, True], True, "GET") == (
        told["type"],
        told["kinds"],
        told["request"],
        told["method"],
    )
    assert [refused, refused, "not asked"] == [told["twice"], told["late"], told["other"]]


async def test_listeners_may_be_objects_called_once_or_removed(runtime: Runtime) -> None:
    """Listeners may be objects, be called once, be removed, and listen to the script's own events."""
    code = """
      const seen = [];
      const gone = (event) => event.respondWith(new Response("gone"));
      addEventListener("fetch", gone);
      removeEventListener("fetch", gone);
      addEventListener("fetch", (event) => event.respondWith(new Response("once")), { once: true });
      addEventListener("own", (event) => seen.push(event.type, event.detail));
      dispatchEvent(new CustomEvent("own", { detail: "told" }));
      addEventListener("fetch", { handleEvent(event) {
        if (!event.request.url.endsWith("/first")) event.respondWith(new Response(seen.join()));
      } });"""
    await classic(runtime, code)

    assert "once" == (await runtime.get("classic", "/first")).text
    assert ["own,told"] * 2 == [(await runtime.get("classic")).text for _ in range(2)]


@pytest.mark.parametrize("date", last_first(DATES))
async def test_unhandled_rejections_reach_listeners(runtime: Runtime, date: str) -> None:
    """Listeners are told of rejections that are not handled, or handled late."""
    code = """
      const seen = [];
      let kept;
      addEventListener("unhandledrejection", (event) => seen.push(event.type, event.reason.message));
      addEventListener("rejectionhandled", (event) => seen.push(event.type));
      addEventListener("fetch", (event) => {
        const { pathname } = new URL(event.request.url);
        if (pathname === "/reject") kept = Promise.reject(new Error("nobody"));
        if (pathname === "/handle") kept.catch(() => {});
        event.respondWith(new Response(JSON.stringify(seen)));
      });"""
    await classic(runtime, code, compatibility_date=date)

    for path in ("/reject", "/handle"):
        await runtime.get("classic", path)

    assert ["unhandledrejection", "nobody", "rejectionhandled"] == (await runtime.get("classic")).json()


UNANSWERING = """addEventListener("fetch", (event) => {
  const { pathname } = new URL(event.request.url);
  if (pathname.startsWith("/pass")) event.passThroughOnException();
  if (pathname.endsWith("/throw")) throw new Error("planted");
  if (pathname.endsWith("/reject")) event.respondWith(Promise.reject(new Error("planted")));
  if (pathname === "/prevent") event.preventDefault();
  if (pathname === "/nothing") event.respondWith("no response");
  if (pathname === "/forward") event.respondWith(fetch(event.request));
  if (pathname === "/fine") event.respondWith(new Response("fine"));
});"""


async def test_an_unanswered_request_is_an_error(runtime: Runtime) -> None:
    """A handler that throws is an error; so is an unanswered request, because there is no origin."""
    await classic(runtime, UNANSWERING)

    for path in ("/throw", "/reject", "/prevent", "/nothing", "/none"):
        answer = await runtime.get("classic", path)
        assert answer.status_code in {500, 503}, path
        assert "planted" not in answer.text
    assert "fine" == (await runtime.get("classic", "/fine")).text


HANDED_ON = ("/none", "/pass/throw", "/pass/reject", "/forward")


@pytest.mark.parametrize("cells", [0, 2])
@pytest.mark.parametrize("reach_private", [False, True])
async def test_a_request_for_an_origin_is_refused(folder: Path, *, reach_private: bool, cells: int) -> None:
    """A request that would go to an origin is a logged 500 with the reason, and does not return to the script."""
    domains = ("0.0.1", "localhost")  # makes 127.0.0.1 the host of a script, which can be reached
    limits = Limits(cells=cells, max_cells=cells)
    async with Runtime(folder, reach_private=reach_private, limits=limits, domains=domains) as runtime:
        await runtime.upload("127", {"worker.js": (CLASSIC, UNANSWERING.encode())}, classic=True)
        for path in HANDED_ON:
            with capture_logs() as logs:
                answer = await runtime.client.get(path)
                while not (found := [log for log in logs if log["event"] == "script.unanswered"]):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert (500, True) == (answer.status_code, "no origin" in answer.text), path
            assert [("127", False)] == [(log["script"], "host" in log) for log in found]
            assert found[0]["request"].endswith("-LOCAL")
            assert not [log for log in logs if log["event"] == "script.refused_outbound"]


async def test_a_script_may_fetch_scripts_by_their_hosts(folder: Path) -> None:
    """A script may fetch itself, and another script with all the headers that it received."""
    code = """export default { async fetch(request) {
      const url = request.headers.get("ask");
      if (!url) return new Response(request.headers.get("own"));
      const itself = await fetch(url, { headers: { own: "plain" } });
      const passed = new Request(url, request);
      passed.headers.delete("ask");
      return new Response(`${await itself.text()} ${await (await fetch(passed)).text()}`);
    } };"""
    async with Runtime(folder, reach_private=True, domains=("0.0.1", "localhost")) as runtime:
        for script in ("127", "other"):
            await runtime.upload(script, code)
        headers = {"own": "copied", "ask": f"http://127.0.0.1:{runtime.port}/", "host": "other.localhost"}
        answer = await runtime.client.get("/", headers=headers)

    assert "plain copied" == answer.text


async def test_stack_traces_name_the_script_and_its_lines(runtime: Runtime) -> None:
    """A stack trace names the script's file and its own lines."""
    code = """
      addEventListener("fetch", (event) => event.respondWith(answer()));
      async function answer() {
        return new Response(new Error().stack);
      }"""
    await classic(runtime, code, name="lib/worker.js")

    assert "(lib/worker.js:4:29)" in (await runtime.get("classic")).text


async def test_code_from_strings_is_refused(runtime: Runtime) -> None:
    """`eval` and `new Function` are refused once the script has started, as in every script."""
    code = """
      const attempt = (what) => { try { return what(); } catch (error) { return error.name; } };
      addEventListener("fetch", (event) => event.respondWith(new Response([
        attempt(() => eval("1")), attempt(() => (0, eval)("1")), attempt(() => new Function("return 1")()),
      ].join())));"""
    await classic(runtime, code)

    assert "EvalError,EvalError,EvalError" == (await runtime.get("classic")).text


async def test_a_service_binding_fetches_from_a_classic_script(runtime: Runtime) -> None:
    """A service binding can fetch from a classic script, but has no methods to call."""
    await classic(
        runtime, "addEventListener('fetch', (event) => event.respondWith(new Response(event.request.url)));"
    )
    caller = """export default { async fetch(request, env) {
      const fetched = await (await env.TARGET.fetch("http://target/path")).text();
      const called = await env.TARGET.anything().then(() => "called", () => "refused");
      return new Response(`${fetched} ${called}`);
    } };"""
    await runtime.upload("caller", caller, [{"type": "service", "name": "TARGET", "service": "classic"}])

    assert "http://target/path refused" == (await runtime.get("caller")).text


@pytest.mark.parametrize("date", last_first(DATES))
async def test_a_strict_script_stays_strict(runtime: Runtime, date: str) -> None:
    """A script that begins with "use strict" runs in strict mode."""
    code = """"use strict";
      var own = "own";
      const strict = (function () { return this === undefined; })();
      addEventListener("fetch", (event) => event.respondWith(new Response(`${strict} ${own} ${TOKEN}`)));"""
    await classic(runtime, code, [text("TOKEN", "token")], compatibility_date=date)

    assert "true own token" == (await runtime.get("classic")).text


@pytest.mark.parametrize("date", last_first(DATES))
async def test_a_shebang_line_is_skipped(runtime: Runtime, date: str) -> None:
    """A shebang line is skipped, as the runtime itself does, and lines keep their numbers."""
    code = "#!/bin/node\naddEventListener('fetch', (event) => event.respondWith(new Response(Error().stack)));"
    await classic(runtime, code, compatibility_date=date)

    assert "worker.js:2:" in (await runtime.get("classic")).text


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("var a = 1;\nvar b = ;", "SyntaxError"),
        ("var a = 1;\nthrow new Error('planted');", "Error at worker.js:2:7"),
        ("null.member;", "TypeError at worker.js:1:6"),
        ("throw 'planted\\n  at planted.js:1:1';", "Error: what the script threw is not told"),
    ],
)
async def test_a_failed_start_of_a_classic_script_is_logged(runtime: Runtime, code: str, reason: str) -> None:
    """The answer is a 500; the log has the kind of error and its place in the script, not its message."""
    await classic(runtime, code)
    with capture_logs() as logs:
        assert 500 == (await runtime.get("classic")).status_code

    assert logs[-1]["reason"].startswith(reason)
    assert "planted" not in str(logs)


@pytest.mark.parametrize("date", last_first(DATES))
async def test_a_module_without_default_export_may_listen(runtime: Runtime, date: str) -> None:
    """A module script without a default export may add a fetch listener, as on the platform."""
    code = "addEventListener('fetch', (event) => event.respondWith(new Response('heard'))); export {};"
    await runtime.upload("listening", code, compatibility_date=date)

    assert "heard" == (await runtime.get("listening")).text


@pytest.mark.parametrize("name", ["origin", "self", "performance", "crypto", "__proto__", "fetch"])
async def test_a_binding_may_be_named_like_a_global(runtime: Runtime, name: str) -> None:
    """A binding named like a global does not keep the script from starting."""
    code = "addEventListener('fetch', (event) => event.respondWith(new Response('started')));"
    await classic(runtime, code, [text(name, "value")])

    assert "started" == (await runtime.get("classic")).text
