"""Attacks by a script on the dispatcher, through which it calls other scripts."""

from pathlib import Path
from tempfile import TemporaryDirectory

from tests.delivery.runtime import Runtime

CALLED = """
  import { WorkerEntrypoint } from "cloudflare:workers";
  export default class extends WorkerEntrypoint {
    fetch() { return new Response(String({}.polluted)); }
    own() { return "own"; }
    get deep() { return { own: () => "own", plain: {} }; }
  }"""
STRIPPED = """
  const names = Reflect.ownKeys(Object.prototype).filter((name) => typeof name === "string");
  function strip(...all) {
    for (const one of all) {
      for (let at = one; at; at = Object.getPrototypeOf(at)) {
        for (const name of names) try { delete at[name]; } catch {}
      }
    }
  }
  export default { async fetch(request, env) {
    const { stringify } = JSON;
    const { VICTIM: it } = env;
    const polluted = () => "polluted";
    const tries = {
      ours: () => it.own(), deep: () => it.deep.own(),
      root: () => it.__proto__.__proto__.__defineGetter__("polluted", polluted),
      rootless: () => it.__defineGetter__("polluted", polluted),
      setter: () => it.__proto__.__proto__.__defineSetter__("polluted", polluted),
      member: () => it.deep.__proto__.__proto__.__defineGetter__("polluted", polluted),
      nested: () => it.deep.plain.__proto__.__defineGetter__("polluted", polluted),
      there: () => it.__proto__.__proto__.hasOwnProperty("polluted"),
    };
    for (const name of names) {
      tries[`call ${name}`] = () => it[name]("polluted");
      tries[`read ${name}`] = () => it[name];
      tries[`deep ${name}`] = () => it.deep[name]("polluted");
      tries[`through ${name}`] = () => it[name].own();
    }
    strip(it, it.deep);
    const found = { __proto__: null };
    for (const name in tries) {
      try { found[name] = `${typeof await tries[name]()}`; }
      catch (error) { found[name] = `${error.name}: ${error.message}`; }
    }
    for (const name of ["ours", "deep"]) try { found[name] = await tries[name](); } catch {}
    return new Response(stringify(found));
  } };"""


async def test_a_service_binding_reaches_only_the_script() -> None:
    """A service binding gives a script access to the other script only, and to no object of the dispatcher.

    The attacker deletes names that every object has from its realm, so that the runtime looks them up over RPC.
    """
    with TemporaryDirectory(prefix="ns-") as folder:
        async with Runtime(Path(folder)) as runtime:
            await runtime.upload("victim", CALLED)
            await runtime.upload("attacker", STRIPPED, [{"type": "service", "name": "VICTIM", "service": "victim"}])
            found = (await runtime.get("attacker")).json()
            unharmed = (await runtime.get("victim")).text

    assert {"ours": "own", "deep": "own"} == {name: found.pop(name) for name in ("ours", "deep")}
    assert [] == [(name, answer) for name, answer in found.items() if not answer.startswith("TypeError: ")]
    assert "undefined" == unharmed
