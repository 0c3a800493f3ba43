"""Every kind of binding, at compatibility dates since 2021, in module scripts and in classic scripts."""

import json

import pytest
from tests.delivery.runtime import CLASSIC, JS, KEY, WASM, Binding, Runtime, stored, text
from tests.effort import last_first

from nightsafe.bundle.runtime_flags import NEWEST_DATE

DATES = ["", "2021-11-02", "2022-10-31", "2024-04-02", "2024-04-03", "2025-09-01", NEWEST_DATE]

CHECKS = """
  async function table() {
    const told = async (what) => { try { return await what(); } catch (error) { return `threw ${error.message}`; } };
    const subtle = crypto.subtle;
    return {
      token: TOKEN, plain: PLAIN, list: LIST, version: Object.keys(VERSION), blob: new Uint8Array(BLOB).length,
      story: STORY, key: KEY instanceof CryptoKey && KEY.extractable === false,
      signed: (await subtle.sign("HMAC", KEY, new Uint8Array(1))).byteLength,
      exported: await told(() => subtle.exportKey("raw", KEY)).then((words) => String(words).slice(0, 5)),
      stored: await told(() => SHELF.get()), again: await told(() => SHELF.get()),
      absent: await told(() => ABSENT.get()),
      target: await (await TARGET.fetch("http://target/")).text(),
    };
  }"""
MODULES = f"""
  {CHECKS.replace("async function table()", "async function table({ NAMES })")}
  export default {{ fetch: async (request, env) => Response.json(await table(env)) }};"""
SCRIPT = f"""
  {CHECKS}
  addEventListener("fetch", (event) => event.respondWith(answer()));
  async function answer() {{
    const told = await table();
    return new Response(JSON.stringify({{ ...told, wasm: new WebAssembly.Instance(CODE).exports.f() }}));
  }}"""
NAMES = "TOKEN, PLAIN, LIST, VERSION, BLOB, STORY, KEY, SHELF, ABSENT, TARGET"
BINDINGS: list[Binding] = [
    text("TOKEN", "secret"),
    {"type": "plain_text", "name": "PLAIN", "text": "plain"},
    {"type": "json", "name": "LIST", "json": [1, {"deep": None}]},
    {"type": "version_metadata", "name": "VERSION"},
    {"type": "data_blob", "name": "BLOB", "part": "bytes.bin"},
    {"type": "text_blob", "name": "STORY", "part": "story.txt"},
    KEY,
    stored("SHELF", "shelf-secret", "from the store"),
    stored("ABSENT", "absent-secret"),
    {"type": "service", "name": "TARGET", "service": "target"},
]
PARTS = {"bytes.bin": ("application/octet-stream", bytes(5)), "story.txt": ("text/plain", b"once")}
FOUND = {
    "token": "secret",
    "plain": "plain",
    "list": [1, {"deep": None}],
    "version": ["id", "tag", "timestamp"],
    "blob": 5,
    "story": "once",
    "key": True,
    "signed": 32,
    "exported": "threw",
    "stored": "from the store",
    "again": "from the store",
    "absent": 'threw Secret "absent-secret" not found',
    "target": "target",
}
TARGET = "export default { fetch: () => new Response('target') };"


@pytest.mark.parametrize("date", last_first(DATES))
async def test_every_binding_works_in_a_module(runtime: Runtime, date: str) -> None:
    """Each binding of a module script has its value."""
    await runtime.upload("target", TARGET)
    files = {"index.js": (JS, MODULES.replace("NAMES", NAMES).encode()), **PARTS}
    await runtime.upload("table", files, BINDINGS, compatibility_date=date)

    answer = await runtime.get("table")

    assert FOUND == json.loads(answer.text)


@pytest.mark.parametrize("date", last_first(DATES))
async def test_every_binding_works_in_a_classic_script(runtime: Runtime, date: str) -> None:
    """Each binding of a classic script is a global, compiled modules included."""
    await runtime.upload("target", TARGET)
    files = {"worker.js": (CLASSIC, SCRIPT.encode()), **PARTS, "code.wasm": ("application/wasm", WASM)}
    bindings = [*BINDINGS, {"type": "wasm_module", "name": "CODE", "part": "code.wasm"}]
    await runtime.upload("table", files, bindings, classic=True, compatibility_date=date)

    answer = await runtime.get("table")

    assert FOUND | {"wasm": 42} == json.loads(answer.text)


OWN = ["__proto__", "constructor", "toString", "hasOwnProperty"]
LOOK = """
  async function look(holder, name) {
    if (!Object.hasOwn(holder, name)) return "none";
    const { value } = Object.getOwnPropertyDescriptor(holder, name);
    if (value instanceof CryptoKey) return value.type;
    if (value instanceof ArrayBuffer) return value.byteLength;
    if (value instanceof WebAssembly.Module) return new WebAssembly.Instance(value).exports.f();
    if (typeof value?.timestamp === "string") return "version";
    if (value?.fetch) return (await value.fetch("http://target/")).text();
    return value?.get ? value.get().catch((error) => error.message) : value;
  }"""
LOOKED = ["secret", "plain", [1, {"deep": None}], "version", 5, "once", "secret", "from the store", "target"]


@pytest.mark.parametrize("classic", [False, True])
@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("date", last_first(["2021-11-02", "2026-04-01", NEWEST_DATE]))
async def test_a_binding_may_have_the_name_of_an_object_member(
    runtime: Runtime, name: str, date: str, *, classic: bool
) -> None:
    """A binding of any kind may have such a name, also beside other bindings, and never becomes a prototype."""
    await runtime.upload("target", TARGET)
    code, kind, holder = f"{LOOK} export default {{ fetch: (request, env) => answer(env) }};", JS, "env"
    if classic:
        code, kind = f"{LOOK} addEventListener('fetch', (event) => event.respondWith(answer()));", CLASSIC
        holder = "globalThis"
    code += f"""
      async function answer(env) {{
        const odd = {holder}.list || {holder}.deep;
        return new Response(JSON.stringify([await look({holder}, "{name}"), await look({holder}, "BESIDE"), !odd]));
      }}"""
    files = {"index.js": (kind, code.encode()), **PARTS}
    told = []
    for binding in (binding for binding in BINDINGS if binding["name"] != "ABSENT"):
        bindings = [{**binding, "name": name}, text("BESIDE", "beside")]
        await runtime.upload("named", files, bindings, classic=classic, compatibility_date=date)
        told.append((await runtime.get("named")).json())

    assert [[value, "beside", True] for value in LOOKED] == told


async def test_a_compiled_module_may_be_named_proto(runtime: Runtime) -> None:
    """A compiled module named `__proto__` is a global of a classic script too."""
    code = f"""{LOOK} addEventListener("fetch", (event) => event.respondWith(answer()));
      async function answer() {{ return new Response(await look(globalThis, "__proto__")); }}"""
    files = {"worker.js": (CLASSIC, code.encode()), "code.wasm": ("application/wasm", WASM)}
    binding = {"type": "wasm_module", "name": "__proto__", "part": "code.wasm"}
    await runtime.upload("part", files, [binding], classic=True)

    assert "42" == (await runtime.get("part")).text
