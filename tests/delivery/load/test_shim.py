"""Keys and Secrets Store secrets, made in an isolate before its script runs, and what can be seen of them."""

from typing import Any

import pytest
from tests.delivery.runtime import CLASSIC, JS, KEY, Binding, Runtime, stored, text
from tests.effort import last_first

from nightsafe.bundle.runtime_flags import NEWEST_DATE

PLANTED = "planted-in-a-store"
LOOKING = """
  import util from "node:util";
  import { RpcTarget, env as imported } from "cloudflare:workers";
  const refused = (error) => `refused ${error}`;
  const attempt = async (what) => { try { return String(await what()); } catch (error) { return refused(error); } };
  export default { async fetch(request, env) {
    const { S } = env;
    const other = new S.constructor("other", () => new Error());
    const every = (it) => it ? [...Reflect.ownKeys(it), ...every(Object.getPrototypeOf(it))] : [];
    const found = {};
    for (const [name, what] of Object.entries({
      json: () => JSON.stringify([S, env, { ...env }, { ...S }]), text: () => `${S}`, inspect: () =>
        util.inspect([S, env, imported], { showHidden: true, depth: 9, getters: true, showProxy: true }),
      keys: () => every(S).map(String).join(),
      symbols: () => Reflect.ownKeys(S).length, raw: () => imported.__nightsafe,
      clone: () => structuredClone(S), process: () => JSON.stringify(process.env), code: () => S.get.toString(),
      constructor: () => S.constructor.toString(), prototype: () => S.constructor.prototype.get.call({}),
      value: () => S.value ?? S["#value"], module: () => import("/__nightsafe/shim.js").then(JSON.stringify),
    })) found[name] = await attempt(what);
    return Response.json({ found, value: await S.get(), other: await other.get(), names: Object.keys(env),
      kind: typeof S.get, target: S instanceof RpcTarget, same: imported.S === S,
      detached: await attempt(() => { const { get } = S; return get.call(S); }) });
  } };"""
PASSING = """
  export default { async fetch(request, env) {
    return new Response(await env.OTHER.take(env.S));
  } };"""
TAKING = """
  import { WorkerEntrypoint } from "cloudflare:workers";
  export default class extends WorkerEntrypoint {
    async take(secret) {
      const tries = [];
      for (const name of ["constructor", "#value", "value", "name"]) {
        try { tries.push(String(await secret[name])); } catch { tries.push("refused"); }
      }
      return JSON.stringify([await secret.get(), tries]);
    }
  }"""


@pytest.mark.parametrize("date", last_first(["2024-09-26", "2026-04-01", NEWEST_DATE]))
async def test_a_stored_secret_shows_its_value_only_by_get(runtime: Runtime, date: str) -> None:
    """A Secrets Store secret has only `get`: no copy, text, inspection or constructor gives the value."""
    flags = ("nodejs_compat",)
    await runtime.upload(
        "looking", LOOKING, [stored("S", "shelf", PLANTED)], compatibility_date=date, compatibility_flags=flags
    )

    told: dict[str, Any] = (await runtime.get("looking")).json()

    assert PLANTED == told.pop("value") == told.pop("detached")
    assert [] == [name for name, shown in told["found"].items() if PLANTED in shown]
    assert PLANTED not in str(told)
    assert ("function", True, True, ["S"], "other") == (
        told["kind"],
        told["target"],
        told["same"],
        told["names"],
        told["other"],
    )
    assert "0" == told["found"]["symbols"]
    assert told["found"]["clone"].startswith("refused DataCloneError")
    assert told["found"]["prototype"].startswith("refused TypeError")


@pytest.mark.parametrize("date", last_first(["2024-04-03", "2026-04-01", NEWEST_DATE]))
async def test_a_stored_secret_can_be_passed_by_rpc(runtime: Runtime, date: str) -> None:
    """A script that receives a Secrets Store secret by RPC can call `get`, and learns nothing else."""
    await runtime.upload("taking", TAKING, compatibility_date=date)
    bindings: list[Binding] = [
        stored("S", "shelf", PLANTED),
        {"type": "service", "name": "OTHER", "service": "taking"},
    ]
    await runtime.upload("passing", PASSING, bindings, compatibility_date=date)

    value, tries = (await runtime.get("passing")).json()

    assert PLANTED == value
    assert PLANTED not in str(tries)


async def test_bindings_are_readable_at_the_top_level(runtime: Runtime) -> None:
    """A Secrets Store secret and a key exist before the script's code runs, and give their values later."""
    code = """
      import { env } from "cloudflare:workers";
      const { S, KEY } = env;
      export default { fetch: async () => new Response(`${await S.get()} ${KEY instanceof CryptoKey}`) };"""
    await runtime.upload("early", code, [stored("S", "shelf", "\ufeffearly"), KEY])

    assert b"\xef\xbb\xbfearly true" == (await runtime.get("early")).content


@pytest.mark.parametrize("date", last_first(["2021-11-02", "2024-04-02", NEWEST_DATE]))
async def test_commonjs_modules_get_no_raw_value(runtime: Runtime, date: str) -> None:
    """A CommonJS module may run while keys are imported; no function that it replaces receives a raw value."""
    main = """
      import seen from "./patch.cjs";
      import { env } from "cloudflare:workers";
      export default { fetch: async () => {
        await env.S.get();
        return Response.json([seen, env.KEY instanceof CryptoKey]);
      } };"""
    patch = b"""
      const seen = [];
      module.exports = seen;
      const note = (...all) => { for (const one of all) {
        if (ArrayBuffer.isView(one)) seen.push([...one]);
        else if (one && typeof one === "object") seen.push(String(one), JSON.stringify(one));
        else seen.push(String(one));
      } };
      const wrap = (on, name) => { const was = on[name]; on[name] = function (...all) {
        note(this, ...all); return was.apply(this, all); }; };
      wrap(SubtleCrypto.prototype, "importKey"); wrap(Uint8Array.prototype.__proto__, "fill"); wrap(Promise, "all");
      wrap(Array.prototype, "map"); wrap(Promise.prototype, "then"); wrap(Reflect, "apply");
      const Was = globalThis.Error; globalThis.Error = function (...all) { note(...all); return new Was(...all); };"""
    files = {"index.js": (JS, main.encode()), "patch.cjs": (CLASSIC, patch)}
    key = {**KEY, "key_base64": "Kioq" * 8}
    bindings = [key, {**key, "name": "MORE"}, stored("S", "shelf", PLANTED)]
    await runtime.upload("patched", files, bindings, compatibility_date=date)

    seen, imported = (await runtime.get("patched")).json()

    assert imported is True
    assert "42, 42" not in str(seen)
    assert PLANTED not in str(seen)


async def test_stored_secrets_without_importable_env_are_stubs(runtime: Runtime) -> None:
    """With `disallow_importable_env` a stored secret is a stub of the runtime's, at dates whose stubs have `get`."""
    code = "export default { fetch: async (request, env) => new Response(await env.S.get()) };"
    flags = ("disallow_importable_env",)
    await runtime.upload("sealed", code, [stored("S", "shelf", "value")], compatibility_flags=flags)
    assert "value" == (await runtime.get("sealed")).text

    await runtime.upload(
        "sealed",
        code,
        [stored("S", "shelf", "value")],
        compatibility_flags=flags,
        compatibility_date="2024-04-02",
    )

    assert 501 == (await runtime.get("sealed")).status_code
    assert "before the compatibility date 2024-04-03" in runtime.delivery.follower.problems["sealed"][0]


async def test_a_proto_binding_out_of_reach_is_refused(runtime: Runtime) -> None:
    """A binding named `__proto__` is refused by name where `env` is out of the shim's reach."""
    await runtime.upload("lost", LOOKING, [text("__proto__", "x")], compatibility_flags=("disallow_importable_env",))

    assert "a binding called __proto__" in runtime.delivery.follower.problems["lost"][0]


async def test_classic_scripts_have_globals_without_importable_env(runtime: Runtime) -> None:
    """`disallow_importable_env` does not affect a classic script: its keys and secrets are globals."""
    code = b"""addEventListener("fetch", (event) => event.respondWith(
      S.get().then((value) => new Response(`${value} ${KEY instanceof CryptoKey} ${TOKEN}`))));"""
    bindings = [stored("S", "shelf", "value"), KEY, text("TOKEN", "token")]
    files = {"worker.js": (CLASSIC, code)}
    await runtime.upload("classic", files, bindings, classic=True, compatibility_flags=("disallow_importable_env",))

    assert "value true token" == (await runtime.get("classic")).text


@pytest.mark.parametrize(
    "name", ["cloudflare:workers", "./cloudflare:workers", "a/../cloudflare:workers", "//cloudflare:workers"]
)
async def test_no_module_takes_the_place_of_a_runtime_module(runtime: Runtime, name: str) -> None:
    """A module named like the source of `env` would stop the import of keys and see them, so it is refused."""
    main = "export default { fetch: (request, env) => new Response(JSON.stringify(env)) };"
    fake = b"export const env = { __nightsafe: new Map([['keys', []], ['stored', []]]) }; export class RpcTarget {};"
    files = {"index.js": (JS, main.encode()), name: (JS, fake)}
    await runtime.upload("fake", files, [KEY])

    assert 501 == (await runtime.get("fake")).status_code
    assert "begins with cloudflare:" in runtime.delivery.follower.problems["fake"][0]
