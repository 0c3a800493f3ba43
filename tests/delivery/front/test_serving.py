"""Serving of Workers: their `env`, their host names, their traffic, and what is refused."""

import pytest
from structlog.testing import capture_logs
from tests.delivery.runtime import ACCOUNT, CLASSIC, DATE, HELLO, JS, KEY, WASM, Binding, Runtime, text

SHOW = "export default { fetch: (request, env) => Response.json(env) };"


async def test_plain_values_arrive(runtime: Runtime) -> None:
    """Text arrives as a string, JSON as its value and version metadata as an object; `env` has nothing else."""
    bindings: list[Binding] = [
        text("TOKEN", 'a "secret"\n\u2028 \U0001f510'),
        {"type": "plain_text", "name": "PLAIN", "text": "plain"},
        {"type": "json", "name": "LIST", "json": [1, {"deep": None}]},
        {"type": "version_metadata", "name": "VERSION"},
    ]
    version = runtime.version("show", SHOW, bindings, tag="v1")
    await runtime.serve("show", version)

    assert {
        "TOKEN": 'a "secret"\n\u2028 \U0001f510',
        "PLAIN": "plain",
        "LIST": [1, {"deep": None}],
        "VERSION": {"id": version.id, "tag": "v1", "timestamp": version.created_on},
    } == (await runtime.get("show")).json()


async def test_modules_of_every_kind_are_imported(runtime: Runtime) -> None:
    """Wasm, text, data, JSON, CommonJS and nested ES modules are imported as their own types."""
    main = """
      import wasm from "./lib/f.wasm"; import words from "./words.txt"; import bytes from "./bytes.bin";
      import object from "./object.json"; import common from "./common.cjs"; import { deep } from "./lib/deep.js";
      export default { fetch: (request, env) => Response.json({
        wasm: new WebAssembly.Instance(wasm).exports.f(), words, bytes: new Uint8Array(bytes).length,
        object, common: common.answer, deep, blob: new Uint8Array(env.BLOB).length, story: env.STORY }) };"""
    files = {
        "index.js": (JS, main.encode()),
        "lib/deep.js": (JS, b'import { twice } from "./twice.js"; export const deep = twice(21);'),
        "lib/twice.js": (JS, b"export const twice = (number) => 2 * number;"),
        "lib/f.wasm": ("application/wasm", WASM),
        "words.txt": ("text/plain", "wörds".encode()),
        "bytes.bin": ("application/octet-stream", bytes(5)),
        "object.json": ("application/json", b'{"a": 1}'),
        "common.cjs": (CLASSIC, b"exports.answer = 42;"),
        "index.js.map": ("application/source-map", b"{}"),
    }
    bindings: list[Binding] = [
        {"type": "data_blob", "name": "BLOB", "part": "bytes.bin"},
        {"type": "text_blob", "name": "STORY", "part": "words.txt"},
        KEY,
    ]
    await runtime.upload("kinds", files, bindings)

    expected = {"wasm": 42, "words": "wörds", "bytes": 5, "object": {"a": 1}, "common": 42, "deep": 42}
    assert expected | {"blob": 5, "story": "wörds"} == (await runtime.get("kinds")).json()


async def test_keys_exist_before_any_code_runs(runtime: Runtime) -> None:
    """A key is a `CryptoKey` at the top level of every ES module, and its raw form appears nowhere."""
    main = """#!/usr/bin/env node
      import { env } from "cloudflare:workers"; import { early } from "./early.js"; import util from "node:util";
      const top = env.KEY instanceof CryptoKey;
      export default { fetch: (request, mine) => Response.json({ top, early, own: mine.KEY instanceof CryptoKey,
        names: Object.getOwnPropertyNames(mine), process: Object.keys(process.env),
        shown: util.inspect(mine, { showHidden: true }), raw: JSON.stringify(mine) }) };"""
    files = {
        "index.js": (JS, main.encode()),
        "early.js": (
            JS,
            b'import { env } from "cloudflare:workers"; export const early = env.KEY instanceof CryptoKey;',
        ),
    }
    await runtime.upload("early", files, [KEY], compatibility_flags=("nodejs_compat",))

    told = (await runtime.get("early")).json()

    assert (True, True, True, ["KEY"]) == (told["top"], told["early"], told["own"], told["names"])
    assert "material" not in str(told)
    assert KEY["key_base64"] not in str(told)


async def test_classic_scripts_have_bindings_as_globals(runtime: Runtime) -> None:
    """Bindings are globals, code runs in sloppy mode, and `addEventListener` and compiled modules work."""
    code = b"""
      implicit = new WebAssembly.Instance(CODE).exports.f();
      addEventListener("fetch", (event) => event.respondWith(answer(event.request)));
      async function answer(request) {
        const { pathname } = new URL(request.url);
        return Response.json({ token: TOKEN, key: KEY instanceof CryptoKey, wasm: implicit, path: pathname });
      }"""
    files = {"worker.js": (CLASSIC, code), "code.wasm": ("application/wasm", WASM)}
    bindings = [text("TOKEN", "secret"), KEY, {"type": "wasm_module", "name": "CODE", "part": "code.wasm"}]
    await runtime.upload("classic", files, bindings, classic=True, compatibility_date="")

    expected = {"token": "secret", "key": True, "wasm": 42, "path": "/x"}
    assert expected == (await runtime.get("classic", "/x")).json()


async def test_a_service_binding_reaches_the_newest_version(runtime: Runtime) -> None:
    """A script calls another by `fetch`, by a named entrypoint and by method, and reaches its newest version."""
    target = """
      import { WorkerEntrypoint } from "cloudflare:workers";
      export class Named extends WorkerEntrypoint { add(a, b) { return a + b + this.env.TOKEN; } }
      export default { fetch: (request, env) => new Response(env.TOKEN) };"""
    caller = """export default { fetch: async (request, env) => Response.json({
      fetched: await (await env.TARGET.fetch(request)).text(), added: await env.NAMED.add(1, 2) }) };"""
    bindings: list[Binding] = [
        {"type": "service", "name": "TARGET", "service": "target", "environment": "production"},
        {"type": "service", "name": "NAMED", "service": "target", "entrypoint": "Named"},
    ]
    await runtime.upload("caller", caller, bindings)
    for value in ("one", "two"):
        await runtime.upload("target", target, [text("TOKEN", value)])

        assert {"fetched": value, "added": f"3{value}"} == (await runtime.get("caller")).json()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("hello.localhost", 200),
        ("HELLO.localhost", 200),
        (f"hello.{ACCOUNT}.localhost", 200),
        (f"hello.{ACCOUNT[::-1]}.localhost", 404),
        ("a.hello.localhost", 404),
        ("hello.localhost.example", 404),
        ("localhost", 404),
        ("other.localhost", 404),
        ("constructor.localhost", 404),
    ],
)
async def test_a_script_is_found_by_its_host_name(runtime: Runtime, host: str, status: int) -> None:
    """The host is the script's name, alone or with its account's."""
    await runtime.upload("hello", HELLO, [text("TOKEN", "hello")])

    assert status == (await runtime.client.get("/", headers={"host": host})).status_code


async def test_requests_and_responses_pass_unchanged(runtime: Runtime) -> None:
    """Method, path, headers and body arrive unchanged, and so do the answer's status, cookies, encoding and body."""
    code = """
      export default { async fetch(request) {
        const { pathname, search } = new URL(request.url);
        if (pathname === "/away") return Response.redirect("https://example.com/", 302);
        if (pathname === "/teapot") return new Response("short and stout", { status: 418, statusText: "Teapot" });
        if (pathname === "/zip") {
          const zipped = new Response("zip ".repeat(1000)).body.pipeThrough(new CompressionStream("gzip"));
          return new Response(zipped, { encodeBody: "manual", headers: { "content-encoding": "gzip" } });
        }
        const own = request.headers.get("x-own");
        const headers = new Headers({ seen: `${request.method} ${pathname}${search} ${own}` });
        headers.append("set-cookie", "a=1"); headers.append("set-cookie", "b=2");
        return new Response(request.body, { headers });
      } };"""
    await runtime.upload("echo", code)
    body = bytes(range(256)) * 8192
    host = {"host": "echo.localhost", "x-own": "value"}

    echoed = await runtime.client.post("/a%20b/?q=1&q=2", headers=host, content=body)
    assert (200, body) == (echoed.status_code, echoed.content)
    assert ("POST /a%20b/?q=1&q=2 value", ["a=1", "b=2"]) == (
        echoed.headers["seen"],
        echoed.headers.get_list("set-cookie"),
    )
    away = await runtime.get("echo", "/away")
    assert (302, "https://example.com/") == (away.status_code, away.headers["location"])
    assert (418, "short and stout") == ((teapot := await runtime.get("echo", "/teapot")).status_code, teapot.text)
    assert "zip " * 1000 == (await runtime.get("echo", "/zip")).text
    assert b"" == (await runtime.client.head("/", headers=host)).content


async def test_the_script_header_names_the_script(runtime: Runtime) -> None:
    """`Nightsafe-Script` names the script for every host, and the script does not see the header."""
    await runtime.upload(
        "see", "export default { fetch: (r) => new Response(String(r.headers.has('nightsafe-script'))) };"
    )

    assert "false" == (await runtime.client.get("/", headers={"nightsafe-script": "see"})).text


@pytest.mark.parametrize(
    ("binding", "words"),
    [
        ({"type": "kv_namespace", "name": "CACHE", "namespace_id": "x"}, "'CACHE' is of kind kv_namespace"),
        ({"type": "dispatch_namespace", "name": "USERS", "namespace": "n"}, "'USERS' is of kind dispatch_namespace"),
        ({"type": "durable_object_namespace", "name": "ROOM", "class_name": "R"}, "'ROOM' is of kind"),
        ({"type": "wasm_module", "name": "CODE", "part": "index.js"}, "'CODE' is of kind wasm_module"),
        ({"type": "data_blob", "name": "BLOB", "part": "nothing"}, "'BLOB' names a part"),
        ({"type": "service", "name": "BACK", "service": "x", "entrypoint": "NightsafeLifecycle"}, "'BACK' names an"),
        ({"type": "plain_text", "name": "__nightsafe_keys", "text": "x"}, "'__nightsafe_keys' has a name"),
    ],
)
async def test_an_unsupported_binding_is_refused_by_name(
    runtime: Runtime, binding: dict[str, object], words: str
) -> None:
    """A script with such a binding is refused on delivery, with its name in the log; others are served."""
    await runtime.upload("hello", HELLO, [text("TOKEN", "hello")])
    with capture_logs() as logs:
        await runtime.upload("refused", HELLO, [binding])

    assert words in logs[0]["reason"]
    assert (words in runtime.delivery.follower.problems["refused"][0], 501) == (
        True,
        (await runtime.get("refused")).status_code,
    )
    assert "hello" == (await runtime.get("hello")).text


@pytest.mark.parametrize(
    ("files", "members", "words"),
    [
        ({"index.py": ("text/x-python", b"")}, {}, "modules of type 'text/x-python'"),
        ({"__nightsafe/main.js": (JS, b"")}, {}, "has a name that begins with __nightsafe"),
        (
            {"index.js": (JS, HELLO.encode())},
            {"compatibility_flags": ("disallow_importable_env",)},
            "cannot be combined",
        ),
        ({"index.js": (JS, HELLO.encode())}, {"main_module": "other.js"}, "the main module 'other.js'"),
    ],
)
async def test_unsupported_code_is_refused_by_name(
    runtime: Runtime, files: object, members: dict[str, object], words: str
) -> None:
    """The refusal names the code that cannot be served."""
    await runtime.upload("refused", files, [KEY], **members)

    assert words in runtime.delivery.follower.problems["refused"][0]
    assert 501 == (await runtime.get("refused")).status_code


async def test_traffic_is_split_by_percentage_and_key(runtime: Runtime) -> None:
    """Requests are split by percentage, and requests with the same key always reach the same version."""
    one, two = (
        runtime.version("split", HELLO, [text("TOKEN", value)], percentage=share)
        for value, share in (("one", 30.0), ("two", 70.0))
    )
    await runtime.serve("split", one, two)

    drawn = [(await runtime.get("split")).text for _ in range(400)]
    keyed = {
        key: {(await runtime.get("split", cloudflare_workers_version_key=f"user {key}")).text for _ in range(3)}
        for key in range(100)
    }

    assert 60 < drawn.count("one") < 180
    assert {1} == set(map(len, keyed.values()))
    assert 10 < sum(found == {"one"} for found in keyed.values()) < 55


async def test_a_rollback_restores_older_values(runtime: Runtime) -> None:
    """An older version that is deployed again has its older values again."""
    old, new = (runtime.version("back", HELLO, [text("TOKEN", value)]) for value in ("old", "new"))
    for version, value in ((old, "old"), (new, "new"), (old, "old")):
        await runtime.serve("back", version)

        assert value == (await runtime.get("back")).text


async def test_a_deleted_script_is_not_served(own_runtime: Runtime) -> None:
    """A deleted script answers 404, and its isolate ends."""
    await own_runtime.upload("gone", HELLO, [text("TOKEN", "x")])
    await own_runtime.get("gone")
    await own_runtime.serve("gone")

    assert 404 == (await own_runtime.get("gone")).status_code
    assert 0 == (await own_runtime.stats())["loaded"]


async def test_refused_dates_and_flags_are_logged(runtime: Runtime) -> None:
    """The log has the runtime's own messages about dates and flags."""
    with capture_logs() as logs:
        await runtime.upload("dated", HELLO, compatibility_date="2999-01-01")
        assert 500 == (await runtime.get("dated")).status_code
        await runtime.upload("dated", HELLO, compatibility_flags=("no_such_flag",))
        assert 501 == (await runtime.get("dated")).status_code

    reasons = " ".join(log["reason"] for log in logs)
    assert "compatibility date" in reasons
    assert "no_such_flag" in reasons
    assert DATE not in reasons


async def test_calls_in_a_circle_fail(runtime: Runtime) -> None:
    """Calls by `fetch` and by method fail instead of going on for ever; the next request is served as before."""
    code = """
      import { WorkerEntrypoint } from "cloudflare:workers";
      export class Other extends WorkerEntrypoint { turn() { return this.env.NEXT.turn(); } }
      export default { async fetch(request, env) {
        const { pathname } = new URL(request.url);
        if (pathname === "/still") return new Response("served");
        return pathname === "/call" ? new Response(await env.NEXT.turn()) : env.HERE.fetch(request);
      } };"""
    for name, other in (("ring-a", "ring-b"), ("ring-b", "ring-a")):
        here = {"type": "service", "name": "HERE", "service": other}
        following = {"type": "service", "name": "NEXT", "service": other, "entrypoint": "Other"}
        await runtime.upload(name, code, [here, following])

    assert [500, 500] == [(await runtime.get("ring-a", path)).status_code for path in ("/fetch", "/call")]
    assert ["served"] * 2 == [(await runtime.get(name, "/still")).text for name in ("ring-a", "ring-b")]
    assert 0 == runtime.delivery.supervisor.restarts
