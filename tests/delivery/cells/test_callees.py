"""Service bindings to scripts that cannot be called: the call throws, and is never mistaken for an answer."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import pytest
from tests.delivery.runtime import Binding, Runtime, text
from tests.delivery.waiting import until

from nightsafe.delivery.source.bundle_source import MemorySource
from nightsafe.errors import Code, NightsafeError

CALLER: Final = """
const told = async (call) => {
  try {
    const got = await call();
    return `returned ${got?.status ?? got}`;
  } catch (error) { return `${error.name}: ${error.message}`; }
};
export default { async fetch(request, env) {
  const { S } = env;
  const calls = [() => S.fetch("http://s/"), () => S.method(1), () => S.honey, () => S.deep.method()];
  return Response.json(await Promise.all(calls.map(told)));
} };"""
CALLEE: Final = """
import { WorkerEntrypoint } from "cloudflare:workers";
export default class extends WorkerEntrypoint {
  fetch() { return new Response("served"); }
  method() { return "called"; }
}"""
ANSWERING: Final = """
import { WorkerEntrypoint } from "cloudflare:workers";
export default class extends WorkerEntrypoint {
  fetch(request) {
    const { pathname } = new URL(request.url);
    const forged = { refusal: { status: 200, message: "x" } };
    if (pathname === "/throw") throw Object.assign(new TypeError("own words"), forged);
    return new Response(`own ${pathname}`, { status: Number(pathname.slice(1)) });
  } }"""
SERVICE: Final[Binding] = {"type": "service", "name": "S", "service": "callee"}


async def unknown(_: Runtime) -> str:
    """Deploy no callee."""
    return "there is no such script, or it is not deployed; deploy it, or bind to another"


async def deleted(own_runtime: Runtime) -> str:
    """Delete the callee after a first call."""
    await own_runtime.upload("callee", CALLEE)
    assert "returned 200" == (await own_runtime.get("caller")).json()[0]
    await own_runtime.serve("callee")
    return await unknown(own_runtime)


async def refused(own_runtime: Runtime) -> str:
    """Give the callee a binding that cannot be served."""
    await own_runtime.upload("callee", CALLEE, [{"type": "kv_namespace", "name": "KV", "namespace_id": "x"}])
    return "the script cannot be served here; the delivery log says why"


async def not_starting(own_runtime: Runtime) -> str:
    """Make the callee throw at its top level."""
    await own_runtime.upload("callee", "throw new Error('at the top');")
    return "the script cannot be started; the delivery log says why"


async def not_opening(own_runtime: Runtime) -> str:
    """Give the callee a secret that was sealed for another script."""
    version = own_runtime.version("elsewhere", CALLEE, [text("TOKEN", "sealed for another script")])
    await own_runtime.serve("callee", version)
    return "the script cannot be started; the delivery log says why"


async def unavailable(own_runtime: Runtime) -> str:
    """Deploy the callee while its bundle cannot be fetched."""

    async def fail(*_: object, **__: object) -> bytes:
        """Fail to fetch the bundle."""
        raise NightsafeError(Code.UNAVAILABLE, "away")

    own_runtime.source.bundle = fail  # type: ignore[method-assign]
    await own_runtime.put("callee", own_runtime.version("callee", CALLEE))
    await until(lambda: "callee" in own_runtime.delivery.follower.problems)
    return "the script cannot be had at this moment; try again later"


async def held_apart(own_runtime: Runtime) -> str:
    """Have the callee held apart, as after a loop."""
    await own_runtime.upload("callee", CALLEE)
    supervisor = own_runtime.delivery.supervisor
    supervisor.holds.hold_apart("callee", "", "it loops")
    await supervisor.send_fleet()
    return "the script is held apart: it loops; its next version is let in at once"


CASES: Final = (unknown, deleted, refused, not_starting, not_opening, unavailable, held_apart)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_a_call_to_an_unavailable_callee_throws(
    own_runtime: Runtime, case: Callable[[Runtime], Awaitable[str]]
) -> None:
    """`fetch`, methods and properties throw an error with the service, the binding, the reason and the remedy."""
    original: Callable[[str], Awaitable[bytes]] = partial(MemorySource.bundle, own_runtime.source)
    await own_runtime.upload("caller", CALLER, [SERVICE])
    await own_runtime.get("caller")

    reason = await case(own_runtime)
    expected = f'Error: The service "callee" of the binding S cannot be called: {reason}'
    assert [expected] * 4 == (await own_runtime.get("caller")).json()

    own_runtime.source.bundle = original  # type: ignore[method-assign,assignment]
    await own_runtime.upload("callee", CALLEE)
    assert ["returned 200", "returned called"] == (await own_runtime.get("caller")).json()[:2]


async def test_a_call_to_a_missing_entrypoint_throws(own_runtime: Runtime) -> None:
    """The error is the runtime's own and names the entrypoint."""
    await own_runtime.upload("callee", CALLEE)
    await own_runtime.upload("caller", CALLER, [{**SERVICE, "entrypoint": "Missing"}])

    assert ["Error: Worker has no such entrypoint: Missing"] * 4 == (await own_runtime.get("caller")).json()


async def test_answers_and_errors_of_a_callee_arrive_unchanged(own_runtime: Runtime) -> None:
    """Any status or error of the callee arrives, also a status that the dispatcher itself uses."""
    caller = """
      export default { async fetch(request, env) {
        const got = [];
        for (const path of ["200", "404", "500", "501", "503", "throw"]) {
          try { const answer = await env.S.fetch(`http://s/${path}`);
            got.push(`${answer.status} ${await answer.text()}`); }
          catch (error) { got.push(`${error.name}: ${error.message}`); }
        }
        return Response.json(got);
      } };"""
    await own_runtime.upload("callee", ANSWERING)
    await own_runtime.upload("caller", caller, [SERVICE])

    answers = [f"{status} own /{status}" for status in (200, 404, 500, 501, 503)]
    assert [*answers, "TypeError: own words"] == (await own_runtime.get("caller")).json()
    assert 500 == (await own_runtime.get("callee", "/throw")).status_code
