"""One script cannot reach what belongs to another script or to the delivery process."""

from tests.delivery.runtime import Runtime, text

VICTIM = """
  globalThis.shared = "planted-global";
  export default { fetch: (request, env) => new Response(env.TOKEN) };"""
ATTACKER = """
  import * as workers from "cloudflare:workers";
  const refused = (error) => `refused: ${error}`;
  const attempt = async (what) => { try { return String(await what()); } catch (error) { return refused(error); } };
  export default { async fetch(request, env, ctx) {
    const port = new URL(request.url).port;
    const found = {};
    for (const [name, what] of Object.entries({
      env: () => JSON.stringify([env, workers.env, Object.keys(globalThis)]),
      global: () => globalThis.shared,
      exports: () => JSON.stringify(Object.keys(workers.exports ?? {})),
      loader: () => (env.LOADER ?? workers.env.LOADER).get("victim@1.1", () => ({})),
      module: () => import("/__nightsafe/shim.js").then((module) => JSON.stringify(module)),
      dispatcher: () => import("router.js"),
      evaluate: () => eval("1 + 1"),
      compile: () => new Function("return 1")(),
      control: () => fetch("http://cp/routes/victim").then((answer) => answer.text()),
      admin: () => fetch("http://admin/stats").then((answer) => answer.text()),
      loopback: () => fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.text()),
      metadata: () => fetch("http://169.254.169.254/").then((answer) => answer.text()),
      binding: () => env.VICTIM.env,
      context: () => env.VICTIM.ctx,
      called: () => env.VICTIM.env(),
      lifecycle: () => env.VICTIM.retire(),
      cache: () => caches.default.match("http://victim.localhost/").then((answer) => answer.text()),
    })) found[name] = await attempt(what);
    return Response.json(found);
  } };"""


async def test_a_script_cannot_change_its_lifecycle_class(own_runtime: Runtime) -> None:
    """A script may import the class that the dispatcher ends isolates with, but cannot replace its methods."""
    code = """
      import { NightsafeLifecycle as Own } from "./__nightsafe/lifecycle.js";
      let answer = "no";
      for (const on of [Own, Own.prototype]) {
        try { on.retire = on.pending = () => new Promise(() => {}); answer = "changed"; } catch {}
        try { Object.setPrototypeOf(on, {}); answer = "changed"; } catch {}
      }
      export default { fetch: (request, env) => new Response(answer + env.TURN) };"""
    for turn in range(3):
        await own_runtime.upload("lasting", code, [text("TURN", str(turn))])
        assert f"no{turn}" == (await own_runtime.get("lasting")).text

    assert {"loaded": 1, "finishing": 0, "retired": 2}.items() <= (await own_runtime.stats()).items()


async def test_the_lifecycle_of_another_script_is_out_of_reach(own_runtime: Runtime) -> None:
    """Nightsafe's own entrypoint is refused by name, and similar names lead to no entrypoint."""
    await own_runtime.upload("victim", "let asked = 0; export default { fetch: () => new Response(++asked) };")
    code = "export default { fetch: (request, env) => env.WAY.retire(true).then(() => new Response('ended')) };"
    for at, name in enumerate(["NightsafeLifecycle", "nightsafeLifecycle", " NightsafeLifecycle", "default", ""], 1):
        way = {"type": "service", "name": "WAY", "service": "victim", "entrypoint": name}
        await own_runtime.upload("thief", code, [way])
        assert (await own_runtime.get("thief")).status_code in {500, 501}
        assert str(at) == (await own_runtime.get("victim")).text


async def test_a_script_ends_only_itself(own_runtime: Runtime) -> None:
    """`abortIsolate` ends the script's own isolate, which is loaded again at the next request."""
    code = """
      import { abortIsolate } from "cloudflare:workers";
      export default { fetch(request, env) {
        if (new URL(request.url).pathname === "/end") abortIsolate("enough");
        return new Response(env.TOKEN);
      } };"""
    await own_runtime.upload("mortal", code, [text("TOKEN", "back")])
    await own_runtime.upload("other", VICTIM, [text("TOKEN", "other")])
    pid = own_runtime.delivery.supervisor.current.pid

    assert 500 == (await own_runtime.get("mortal", "/end")).status_code
    assert "back" == (await own_runtime.get("mortal")).text
    assert "other" == (await own_runtime.get("other")).text
    assert pid == own_runtime.delivery.supervisor.current.pid


async def test_an_exception_s_message_is_not_shown(own_runtime: Runtime) -> None:
    """The exception's message is neither in the answer nor in a log."""
    code = "export default { fetch(request, env) { throw new Error(env.TOKEN); } };"
    await own_runtime.upload("thrower", code, [text("TOKEN", "planted-secret")])

    answer = await own_runtime.get("thrower")

    assert 500 == answer.status_code
    assert "planted" not in answer.text + str(answer.headers)
