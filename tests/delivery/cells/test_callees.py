"""A service binding to a script that cannot be had: that is thrown, and never looks like an answer of that script."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import pytest
from tests.delivery.scene import Binding, Scene, text

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


async def unknown(_: Scene) -> str:
    """No script has the name."""
    return "there is no such script, or it is not deployed; deploy it, or bind to another"


async def deleted(scene: Scene) -> str:
    """It was there a moment ago, and was called."""
    await scene.upload("callee", CALLEE)
    assert "returned 200" == (await scene.get("caller")).json()[0]
    await scene.serve("callee")
    return await unknown(scene)


async def refused(scene: Scene) -> str:
    """It has a binding that cannot be served."""
    await scene.upload("callee", CALLEE, [{"type": "kv_namespace", "name": "KV", "namespace_id": "x"}])
    return "the script cannot be served here; the delivery log says why"


async def not_starting(scene: Scene) -> str:
    """It throws before it serves anything."""
    await scene.upload("callee", "throw new Error('at the top');")
    return "the script cannot be started; the delivery log says why"


async def not_opening(scene: Scene) -> str:
    """A secret of it does not open."""
    version = scene.version("elsewhere", CALLEE, [text("TOKEN", "sealed for another script")])
    await scene.serve("callee", version)
    return "the script cannot be started; the delivery log says why"


async def unavailable(scene: Scene) -> str:
    """It is not known yet, and whoever knows it cannot be asked."""

    async def fail(*_: object, **__: object) -> bytes:
        """Say that it cannot be had."""
        raise NightsafeError(Code.UNAVAILABLE, "away")

    await scene.put("callee", scene.version("callee", CALLEE))
    scene.source.bundle = fail  # type: ignore[method-assign]
    return "the script cannot be had at this moment; try again later"


async def held_apart(scene: Scene) -> str:
    """It has taken a process down."""
    await scene.upload("callee", CALLEE)
    supervisor = scene.delivery.supervisor
    supervisor.holds.blame("callee", "", "it loops")
    await supervisor.announce()
    return "the script is held apart: it loops; its next version is let in at once"


CASES: Final = (unknown, deleted, refused, not_starting, not_opening, unavailable, held_apart)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_what_cannot_be_had_is_thrown(scene: Scene, case: Callable[[Scene], Awaitable[str]]) -> None:
    """By `fetch`, by a method and by a property: with the service, the binding, the reason and what to do."""
    original: Callable[[str], Awaitable[bytes]] = partial(MemorySource.bundle, scene.source)
    await scene.upload("caller", CALLER, [SERVICE])
    await scene.get("caller")

    reason = await case(scene)
    expected = f'Error: The service "callee" of the binding S cannot be called: {reason}'
    assert [expected] * 4 == (await scene.get("caller")).json()

    scene.source.bundle = original  # type: ignore[method-assign,assignment]
    await scene.upload("callee", CALLEE)
    assert ["returned 200", "returned called"] == (await scene.get("caller")).json()[:2]


async def test_an_entrypoint_that_is_not_there_is_thrown(scene: Scene) -> None:
    """As the runtime has it, with the entrypoint's name."""
    await scene.upload("callee", CALLEE)
    await scene.upload("caller", CALLER, [{**SERVICE, "entrypoint": "Missing"}])

    assert ["Error: Worker has no such entrypoint: Missing"] * 4 == (await scene.get("caller")).json()


async def test_what_the_script_itself_says_goes_through(scene: Scene) -> None:
    """Whatever it answers, also with a status that the dispatcher uses; and what it throws is what arrives."""
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
    await scene.upload("callee", ANSWERING)
    await scene.upload("caller", caller, [SERVICE])

    answers = [f"{status} own /{status}" for status in (200, 404, 500, 501, 503)]
    assert [*answers, "TypeError: own words"] == (await scene.get("caller")).json()
    assert 500 == (await scene.get("callee", "/throw")).status_code
