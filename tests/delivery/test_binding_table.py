"""Every kind of binding, at compatibility dates since 2021, in scripts in modules and in classic ones."""

import json

import pytest
from tests.delivery.scene import JS, Binding, Scene, stored, text
from tests.delivery.test_serving import CLASSIC, KEY, WASM

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


@pytest.mark.parametrize("date", DATES)
async def test_in_modules(scene: Scene, date: str) -> None:
    """Each binding of a script in modules is what it says."""
    await scene.upload("target", TARGET)
    files = {"index.js": (JS, MODULES.replace("NAMES", NAMES).encode()), **PARTS}
    await scene.upload("table", files, BINDINGS, compatibility_date=date)

    answer = await scene.get("table")

    assert FOUND == json.loads(answer.text)


@pytest.mark.parametrize("date", DATES)
async def test_in_classic_scripts(scene: Scene, date: str) -> None:
    """Each is a global of a classic script, compiled modules among them."""
    await scene.upload("target", TARGET)
    files = {"worker.js": (CLASSIC, SCRIPT.encode()), **PARTS, "code.wasm": ("application/wasm", WASM)}
    bindings = [*BINDINGS, {"type": "wasm_module", "name": "CODE", "part": "code.wasm"}]
    await scene.upload("table", files, bindings, classic=True, compatibility_date=date)

    answer = await scene.get("table")

    assert FOUND | {"wasm": 42} == json.loads(answer.text)
