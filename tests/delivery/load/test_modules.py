"""How modules are called, and how they find each other and ours: by paths at first, by URLs since."""

import json

import pytest
from structlog.testing import capture_logs
from tests.delivery.front.test_serving import CLASSIC, KEY
from tests.delivery.scene import JS, Binding, Scene, stored, text

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


@pytest.mark.parametrize("date", DATES)
async def test_names(scene: Scene, date: str) -> None:
    """However a module is called, it may start or be imported, and keys are there before its code runs."""
    wrong = []
    for name in NAMES:
        imported = json.dumps("../" + name.removeprefix("./").removeprefix("/"))
        alone = {name: (JS, EARLY.encode())}
        nested = {"deep/index.js": (JS, f"export {{ default }} from {imported};".encode()), **alone}
        for files in (alone, nested):
            await scene.upload("named", files, BINDINGS, compatibility_date=date)
            if "true value" != (await scene.get("named")).text:
                wrong.append((name, len(files)))

    assert [] == wrong


@pytest.mark.parametrize("date", DATES)
async def test_classic_names(scene: Scene, date: str) -> None:
    """The same for the one part of a classic script."""
    code = "addEventListener('fetch', (event) => event.respondWith(new Response(String(KEY instanceof CryptoKey))));"
    wrong = []
    for name in NAMES:
        await scene.upload("named", {name: (CLASSIC, code.encode())}, [KEY], classic=True, compatibility_date=date)
        if "true" != (await scene.get("named")).text:
            wrong.append(name)

    assert [] == wrong


@pytest.mark.parametrize(
    ("specifier", "paths", "urls"),
    [("./x.js", True, True), ("x.js", True, True), ("/x.js", True, False), ("file:///bundle/x.js", False, True)],
)
async def test_what_scripts_import(scene: Scene, specifier: str, *, paths: bool, urls: bool) -> None:
    """A script's imports mean what the runtime makes of them at its date: ours do not stand in between."""
    files = {
        "index.js": (JS, f'export {{ default }} from "{specifier}";'.encode()),
        "x.js": (JS, EARLY.encode()),
    }
    for date, found in (("2026-11-16", paths), (NEWEST_DATE, urls)):
        await scene.upload("importing", files, BINDINGS, compatibility_date=date)

        assert (200 if found else 500) == (await scene.get("importing")).status_code, date


@pytest.mark.parametrize("name", ["../x.js", "a/../../x.js", "./../x.js", "%2e%2e/x.js"])
async def test_names_that_lead_out(scene: Scene, name: str) -> None:
    """Of the upload are refused by name."""
    await scene.upload("out", {"index.js": (JS, b"export default {}"), name: (JS, b"")})

    assert 501 == (await scene.get("out")).status_code
    assert f"{name!r} has a name that leads out of the upload" in scene.delivery.follower.problems["out"][0]


@pytest.mark.parametrize(
    "name", ["__nightsafe/shim.js", "./__nightsafe/shim.js", "a/../__nightsafe/shim.js", "%5f_nightsafe/shim.js"]
)
async def test_names_of_ours(scene: Scene, name: str) -> None:
    """No module is found where one of ours is."""
    await scene.upload("ours", {"index.js": (JS, b"export default {}"), name: (JS, b"")})

    assert 501 == (await scene.get("ours")).status_code
    assert "begins with __nightsafe" in scene.delivery.follower.problems["ours"][0]


@pytest.mark.parametrize("name", ["/index.js", "//index.js"])
async def test_two_modules_of_one_name(scene: Scene, name: str) -> None:
    """Are refused by both names: the one would be run in the place of the other."""
    await scene.upload("twice", {"index.js": (JS, b"export default {}"), name: (CLASSIC, b"")})

    assert 501 == (await scene.get("twice")).status_code
    assert f"'index.js' and {name!r} have the same name" in scene.delivery.follower.problems["twice"][0]


async def test_a_main_module_that_is_no_module(scene: Scene) -> None:
    """CommonJS starts as well."""
    code = b"module.exports = { fetch: () => new Response('common') };"
    await scene.upload("common", {"index.cjs": (CLASSIC, code)}, [KEY])

    assert "common" == (await scene.get("common")).text


@pytest.mark.parametrize("bindings", [[], BINDINGS], ids=["bare", "with keys"])
async def test_lines_keep_their_numbers(scene: Scene, bindings: list[Binding]) -> None:
    """What we put before a module is on its first line; a module that begins in any way may follow."""
    for begin in ("#!/usr/bin/env node", "'use strict';", "// comment", "/* over", "", "\ufeff"):
        end = "lines */" if begin.startswith("/*") else ""
        code = f"{begin}\n{end}\nexport default {{ fetch: () => new Response(new Error().stack) }};"
        await scene.upload("lines", code, bindings)

        assert "index.js:3:44" in (await scene.get("lines")).text, begin


@pytest.mark.parametrize("date", ["2024-04-03", NEWEST_DATE])
async def test_without_a_default_export(scene: Scene, date: str) -> None:
    """A script that is there to be called by name alone starts, and is called."""
    code = """import { WorkerEntrypoint } from "cloudflare:workers";
      export class Inner extends WorkerEntrypoint { tell() { return "told"; } }"""
    caller = "export default { fetch: async (request, env) => new Response(await env.INNER.tell()) };"
    await scene.upload("inner", code, BINDINGS, compatibility_date=date)
    bound = {"type": "service", "name": "INNER", "service": "inner", "entrypoint": "Inner"}
    await scene.upload("caller", caller, [bound], compatibility_date=date)

    assert "told" == (await scene.get("caller")).text


@pytest.mark.parametrize("date", ["2026-11-16", NEWEST_DATE])
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
async def test_why_a_script_does_not_start(scene: Scene, date: str, code: str, reason: str) -> None:
    """The log has more than the word Error, and nothing of what the script says or holds."""
    bindings = [{"type": "plain_text", "name": "PLANTED", "text": "planted-value"}]
    await scene.upload("broken", f"\n{code}", bindings, compatibility_date=date)
    with capture_logs() as logs:
        assert 500 == (await scene.get("broken")).status_code

    told = logs[-1]["reason"]
    assert told.startswith(reason), told
    assert "Error" != told
    assert "planted-value" not in told


@pytest.mark.parametrize("date", ["2026-11-16", NEWEST_DATE])
async def test_a_missing_module_of_another_folder(scene: Scene, date: str) -> None:
    """Is told by the name that the runtime gives it, though the code leads to it from where it stands."""
    files = {
        "index.js": (JS, b"import './sub/a.js'; export default {}"),
        "sub/a.js": (JS, b"const note = `it's no.js'`; import \"../lib/./no.js\";"),
    }
    await scene.upload("broken", files, compatibility_date=date)
    with capture_logs() as logs:
        await scene.get("broken")

    assert logs[-1]["reason"].startswith('Error: No such module "lib/no.js"')


@pytest.mark.parametrize("date", ["2026-11-16", NEWEST_DATE])
async def test_a_name_with_parts_from_the_code_is_not_told(scene: Scene, date: str) -> None:
    """The code must have it as a whole: parts of it may have been put together, as a value is."""
    code = "import { env } from 'cloudflare:workers'; ['planted', 'secret', './']; await import(`./${env.TOKEN}`);"
    await scene.upload("secretive", code, [text("TOKEN", "planted/secret")], compatibility_date=date)
    with capture_logs() as logs:
        assert 500 == (await scene.get("secretive")).status_code

    assert logs[-1]["reason"].startswith("Error: No such module at index.js")


async def test_a_name_that_is_a_value_is_not_told(scene: Scene) -> None:
    """A module's name is in the log only if it stands in the code: else it may be a secret."""
    code = "import { env } from 'cloudflare:workers'; await import(`./${env.TOKEN}`); export default {}"
    await scene.upload("secretive", code, [{"type": "secret_text", "name": "TOKEN", "text": "planted-secret"}])
    with capture_logs() as logs:
        assert 500 == (await scene.get("secretive")).status_code

    assert "planted" not in str(logs)
