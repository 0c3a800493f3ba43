"""Modules import each other and Nightsafe's own: by paths at older compatibility dates, by URLs at newer ones."""

import json

import pytest
from structlog.testing import capture_logs
from tests.delivery.runtime import CLASSIC, JS, KEY, Binding, Runtime, stored, text
from tests.effort import last_first

from nightsafe.bundle.runtime_flags import NEWEST_DATE

DATES = ["2021-11-02", "2026-11-16", NEWEST_DATE]
NAMES = [
    "x",
    "x.js",
    "./x.js",
    "/x.js",
    "X.JS",
    "lib/x.js",
    "./lib/x.js",
    "lib.v1/very/deep/x.js",
    "a/./b.js",
    "a/../b.js",
    "..x.js",
    "a..b/x.js",
    "a b.js",
    "a%20b.js",
    "a%2fb.js",
    "%41.js",
    "%.js",
    "x.js?y",
    "x.js?y/z",
    "x#y.js",
    "wörk.js",
    "\u65e5\u672c/\U0001f511.js",
    "\u2028.js",
    "~x.js",
    "[x].js",
    "x'\"y.js",
    "a\\b.js",
]
EARLY = """import { env } from "cloudflare:workers";
  const early = env.KEY instanceof CryptoKey;
  export default { fetch: async () => new Response(`${early} ${await env.S.get()}`) };"""
BINDINGS = [KEY, stored("S", "shelf", "value")]


@pytest.mark.parametrize("date", last_first(DATES))
async def test_a_module_may_have_any_name(runtime: Runtime, date: str) -> None:
    """A module of any name can be the main module or be imported, and keys exist before its code runs."""
    wrong = []
    for name in NAMES:
        imported = json.dumps("../" + name.removeprefix("./").removeprefix("/"))
        alone = {name: (JS, EARLY.encode())}
        nested = {"deep/index.js": (JS, f"export {{ default }} from {imported};".encode()), **alone}
        for files in (alone, nested):
            await runtime.upload("named", files, BINDINGS, compatibility_date=date)
            if "true value" != (await runtime.get("named")).text:
                wrong.append((name, len(files)))

    assert [] == wrong


@pytest.mark.parametrize("date", last_first(DATES))
async def test_a_classic_script_may_have_any_name(runtime: Runtime, date: str) -> None:
    """The only part of a classic script may have any name too."""
    code = "addEventListener('fetch', (event) => event.respondWith(new Response(String(KEY instanceof CryptoKey))));"
    wrong = []
    for name in NAMES:
        await runtime.upload("named", {name: (CLASSIC, code.encode())}, [KEY], classic=True, compatibility_date=date)
        if "true" != (await runtime.get("named")).text:
            wrong.append(name)

    assert [] == wrong


@pytest.mark.parametrize(
    ("specifier", "paths", "urls"),
    [("./x.js", True, True), ("x.js", True, True), ("/x.js", True, False), ("file:///bundle/x.js", False, True)],
)
async def test_imports_resolve_as_in_the_runtime(
    runtime: Runtime, specifier: str, *, paths: bool, urls: bool
) -> None:
    """A script's imports resolve as the runtime does at its date; Nightsafe's own imports do not interfere."""
    files = {
        "index.js": (JS, f'export {{ default }} from "{specifier}";'.encode()),
        "x.js": (JS, EARLY.encode()),
    }
    for date, found in (("2026-11-16", paths), (NEWEST_DATE, urls)):
        await runtime.upload("importing", files, BINDINGS, compatibility_date=date)

        assert (200 if found else 500) == (await runtime.get("importing")).status_code, date


@pytest.mark.parametrize("name", ["../x.js", "a/../../x.js", "./../x.js", "%2e%2e/x.js"])
async def test_a_name_that_leads_out_of_the_upload_is_refused(runtime: Runtime, name: str) -> None:
    """A module name that leads out of the upload is refused by name."""
    await runtime.upload("out", {"index.js": (JS, b"export default {}"), name: (JS, b"")})

    assert 501 == (await runtime.get("out")).status_code
    assert f"{name!r} has a name that leads out of the upload" in runtime.delivery.follower.problems["out"][0]


@pytest.mark.parametrize(
    "name", ["__nightsafe/shim.js", "./__nightsafe/shim.js", "a/../__nightsafe/shim.js", "%5f_nightsafe/shim.js"]
)
async def test_a_name_of_nightsafe_s_modules_is_refused(runtime: Runtime, name: str) -> None:
    """A module whose name resolves to one of Nightsafe's own is refused."""
    await runtime.upload("ours", {"index.js": (JS, b"export default {}"), name: (JS, b"")})

    assert 501 == (await runtime.get("ours")).status_code
    assert "begins with __nightsafe" in runtime.delivery.follower.problems["ours"][0]


@pytest.mark.parametrize("name", ["/index.js", "//index.js"])
async def test_two_modules_of_one_name_are_refused(runtime: Runtime, name: str) -> None:
    """Both names are in the refusal, because one module would run in the place of the other."""
    await runtime.upload("twice", {"index.js": (JS, b"export default {}"), name: (CLASSIC, b"")})

    assert 501 == (await runtime.get("twice")).status_code
    assert f"'index.js' and {name!r} have the same name" in runtime.delivery.follower.problems["twice"][0]


async def test_a_commonjs_main_module_starts(runtime: Runtime) -> None:
    """A CommonJS module can be the main module."""
    code = b"module.exports = { fetch: () => new Response('common') };"
    await runtime.upload("common", {"index.cjs": (CLASSIC, code)}, [KEY])

    assert "common" == (await runtime.get("common")).text


@pytest.mark.parametrize("bindings", [[], BINDINGS], ids=["bare", "with keys"])
async def test_lines_keep_their_numbers(runtime: Runtime, bindings: list[Binding]) -> None:
    """Nightsafe's import stands on the module's first line, however the module begins."""
    for begin in ("#!/usr/bin/env node", "'use strict';", "// comment", "/* over", "", "\ufeff"):
        end = "lines */" if begin.startswith("/*") else ""
        code = f"{begin}\n{end}\nexport default {{ fetch: () => new Response(new Error().stack) }};"
        await runtime.upload("lines", code, bindings)

        assert "index.js:3:44" in (await runtime.get("lines")).text, begin


@pytest.mark.parametrize("date", last_first(["2024-04-03", NEWEST_DATE]))
async def test_a_script_without_default_export_is_called(runtime: Runtime, date: str) -> None:
    """A script with only named entrypoints starts and can be called."""
    code = """import { WorkerEntrypoint } from "cloudflare:workers";
      export class Inner extends WorkerEntrypoint { tell() { return "told"; } }"""
    caller = "export default { fetch: async (request, env) => new Response(await env.INNER.tell()) };"
    await runtime.upload("inner", code, BINDINGS, compatibility_date=date)
    bound = {"type": "service", "name": "INNER", "service": "inner", "entrypoint": "Inner"}
    await runtime.upload("caller", caller, [bound], compatibility_date=date)

    assert "told" == (await runtime.get("caller")).text


@pytest.mark.parametrize("date", last_first(["2026-11-16", NEWEST_DATE]))
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import './nothing.js'; export default {}", 'Error: No such module "nothing.js"'),
        ("import x from 'nothing'; export default {}", 'Error: No such module "nothing"'),
        ("import x from 'node:nothing'; export default {}", 'Error: No such module "node:nothing"'),
        ("await import('./nothing.js'); export default {}", 'Error: No such module "nothing.js" at index.js:2:1'),
        ("import { env } from 'cloudflare:workers'; await import(env.PLANTED);", "Error: No such module at index.js"),
        ("await new Promise(() => {}); export default {}", "Error: "),
        ("await fetch('https://example.com'); export default {}", "Error: Disallowed operation called within global"),
        ("throw new Error('planted');", "Error at index.js:2:7"),
        ("throw 'planted';", "Error: what the script threw is not told"),
        ("throw 'x\\n  at planted:1:1';", "Error: what the script threw is not told"),
        ("throw 'No such module \"planted\"';", "Error: No such module"),
        ("throw { planted: 1 };", "Error: what the script threw is not told"),
        ("await Promise.reject(new RangeError('planted'));", "RangeError at index.js:2:22"),
        ("export default {;", "SyntaxError at index.js:2:16"),
        ("import { planted } from 'cloudflare:workers'; export default {}", "SyntaxError at index.js:2:9"),
    ],
)
async def test_the_reason_for_a_failed_start_is_logged(runtime: Runtime, date: str, code: str, reason: str) -> None:
    """The log has more than the word Error, and nothing that the script says or holds."""
    bindings = [{"type": "plain_text", "name": "PLANTED", "text": "planted-value"}]
    await runtime.upload("broken", f"\n{code}", bindings, compatibility_date=date)
    with capture_logs() as logs:
        assert 500 == (await runtime.get("broken")).status_code

    told = logs[-1]["reason"]
    assert told.startswith(reason), told
    assert "Error" != told
    assert "planted-value" not in told


@pytest.mark.parametrize("date", last_first(["2026-11-16", NEWEST_DATE]))
async def test_a_missing_module_is_logged_by_its_full_name(runtime: Runtime, date: str) -> None:
    """The log has the runtime's name of the module, though the code imports it by a relative path."""
    files = {
        "index.js": (JS, b"import './sub/a.js'; export default {}"),
        "sub/a.js": (JS, b"const note = `it's no.js'`; import \"../lib/./no.js\";"),
    }
    await runtime.upload("broken", files, compatibility_date=date)
    with capture_logs() as logs:
        await runtime.get("broken")

    assert logs[-1]["reason"].startswith('Error: No such module "lib/no.js"')


@pytest.mark.parametrize("date", last_first(["2026-11-16", NEWEST_DATE]))
async def test_a_composed_module_name_is_not_logged(runtime: Runtime, date: str) -> None:
    """The code must contain the name as a whole: its parts may have been put together, as a value is."""
    code = "import { env } from 'cloudflare:workers'; ['planted', 'secret', './']; await import(`./${env.TOKEN}`);"
    await runtime.upload("secretive", code, [text("TOKEN", "planted/secret")], compatibility_date=date)
    with capture_logs() as logs:
        assert 500 == (await runtime.get("secretive")).status_code

    assert logs[-1]["reason"].startswith("Error: No such module at index.js")


async def test_a_module_name_that_is_a_value_is_not_logged(runtime: Runtime) -> None:
    """A module's name is logged only if it stands in the code, because it may be a secret otherwise."""
    code = "import { env } from 'cloudflare:workers'; await import(`./${env.TOKEN}`); export default {}"
    await runtime.upload("secretive", code, [{"type": "secret_text", "name": "TOKEN", "text": "planted-secret"}])
    with capture_logs() as logs:
        assert 500 == (await runtime.get("secretive")).status_code

    assert "planted" not in str(logs)
