"""The runtime compiles and links uploaded code, and runs none of it."""

from typing import Any

import pytest
from tests.delivery.runtime import CLASSIC, JS, workerd
from tests.effort import last_first

from nightsafe.bundle.code_checks import CheckedModule, CodeCheck
from nightsafe.delivery.load.compiling import Compiler

TYPES = {"js": JS, "cjs": "application/javascript", "json": "application/json", "wasm": "application/wasm"}
DATES = ["", "2026-04-01", "2026-11-24"]
DEEP = b"export default " + b"[" * 200_000
GOOD = "export default { fetch() {} };"
COMPILE_ERRORS = {
    "js": (b"export default {\n fetch( }", "SyntaxError: Unexpected token '}' at lib/it.x:2:8"),
    "cjs": (b"module.exports = (", "SyntaxError: Unexpected end of input at lib/it.x:1:18"),
    "json": (b"{a", "SyntaxError: Expected property name or '}' in JSON"),
    "wasm": (b"no", "CompileError: WasmModuleObject::Compile()"),
}


def modules(kind: str, body: bytes, main: str = GOOD, **members: Any) -> CodeCheck:
    """Return an upload of a main module, by default a good one, and another file."""
    files = (CheckedModule("index.js", JS, main.encode()), CheckedModule("lib/it.x", TYPES[kind], body))
    return CodeCheck(id="1", main_module="index.js", modules=files, **members)


def classic(body: bytes, **members: Any) -> CodeCheck:
    """Return an upload of a classic script."""
    return CodeCheck(
        id="1", main_module="worker.js", classic=True, modules=(CheckedModule("worker.js", CLASSIC, body),), **members
    )


async def problem_of(check: CodeCheck) -> str:
    """Return the problem that the runtime reports, or an empty string."""
    return await Compiler(workerd()).find_problem(check)


@pytest.mark.parametrize("date", last_first(DATES))
@pytest.mark.parametrize("kind", COMPILE_ERRORS)
async def test_a_compile_error_is_reported_with_its_place(kind: str, date: str) -> None:
    """An error is reported with its place, in any file, imported or not."""
    body, words = COMPILE_ERRORS[kind]

    assert (await problem_of(modules(kind, body, date=date))).startswith(words)


@pytest.mark.parametrize("date", last_first(DATES))
@pytest.mark.parametrize(
    "body",
    [
        b"while (true);",
        b"throw new Error('ran');",
        b"await new Promise(() => {});",
        b"import * as self from './it.x'; import '../index.js'; while (true);",
        b"export const late = () => import('./absent.js');",
    ],
)
async def test_no_uploaded_code_is_run(body: bytes, date: str) -> None:
    """Neither a loop nor a throw runs, in the main module, in an imported module or in CommonJS."""
    importing = "import './lib/it.x'; export default {};"
    for main in (GOOD, importing, f"await 0; while (true); {importing}"):
        assert "" == await problem_of(modules("js", body, main, date=date))
    assert "" == await problem_of(modules("cjs", b"while (true);", importing, date=date))


@pytest.mark.parametrize("date", last_first(DATES))
@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("import './nope.js';", "nope.js"),
        ("import lodash from 'lodash';", "lodash"),
        ("import 'node:nothere';", "node:nothere"),
        ("import 'cloudflare:nothere';", "cloudflare:nothere"),
        ("import { nope } from './lib/it.x';", "'nope'"),
        ("export { nope } from './lib/it.x';", "'nope'"),
        ("import { nope } from 'cloudflare:workers';", "'nope'"),
    ],
)
async def test_a_missing_import_is_reported_by_name(line: str, name: str, date: str) -> None:
    """A missing import is reported by name, also of an imported module; an import that may never run is not."""
    main = f"{line} {GOOD}"
    imported = line.replace("'./lib/it.x'", "'./it.x'")
    assert name in await problem_of(modules("js", b"export const there = 1;", main, date=date))
    if "it.x" not in line:
        assert name in await problem_of(modules("js", imported.encode(), f"import './lib/it.x'; {GOOD}", date=date))
    later = f"export default {{ fetch: () => import('./lib/it.x') }}; const text = {line!r};"
    assert "" == await problem_of(modules("js", imported.encode(), later, date=date))


@pytest.mark.parametrize(
    ("date", "flags", "there"),
    [
        ("2021-11-02", ["nodejs_compat"], False),
        ("2026-04-01", [], False),
        ("2026-04-01", ["nodejs_compat"], True),
        ("2026-11-24", [], True),
        ("2026-11-24", ["legacy_module_registry"], True),
        ("2026-04-01", ["new_module_registry", "nodejs_compat"], True),
    ],
)
async def test_built_in_modules_depend_on_date_and_flags(date: str, flags: list[str], *, there: bool) -> None:
    """A built-in module is found according to the upload's own date and flags."""
    check = modules("js", b"", f"import fs from 'node:fs'; {GOOD}", date=date, flags=tuple(flags))

    assert there is (await problem_of(check) == "")


async def test_a_refused_flag_is_reported() -> None:
    """A flag that the runtime refuses when it loads a script is reported in the runtime's words."""
    assert "unsafe_module" in await problem_of(modules("js", b"", flags=("unsafe_module",)))


async def test_an_export_with_a_reserved_name_is_reported() -> None:
    """A script that exports Nightsafe's own name cannot be started, and this is reported."""
    main = f"export class NightsafeLifecycle {{}}; {GOOD}"

    assert "Duplicate export of 'NightsafeLifecycle': the name is reserved" in await problem_of(
        modules("js", b"", main)
    )


@pytest.mark.parametrize("date", last_first(DATES))
@pytest.mark.parametrize(
    "body",
    [
        b"while (true); //",
        b"let exports, module, require; throw 1",
        b"<!-- x\nreturn_: 1",
        b"--> x\nthrow 1",
        b"'use strict'; while (true);",
        b"#!/usr/bin/env node\nwhile (true);",
        b"function Error() { while (true); } function Function() { Error(); } function SyntaxError() { Error(); }",
    ],
)
async def test_a_classic_script_is_compiled_as_one(body: bytes, date: str) -> None:
    """A classic script is compiled in sloppy mode, without the names of modules, and is not run."""
    assert "" == await problem_of(classic(body, date=date))
    assert (await problem_of(classic(body + b"\n)", date=date))).startswith("SyntaxError: ")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"if (1) return;", "SyntaxError: Illegal return statement"),
        (b"new.target;", "SyntaxError: new.target expression is not allowed here"),
        (b"'use strict'; with (a) {}", "SyntaxError: Strict mode code may not include a with statement"),
        (b"}); (function () {", "SyntaxError: Unexpected token '}'"),
    ],
)
async def test_code_that_is_not_a_classic_script_is_refused(body: bytes, words: str) -> None:
    """Code that is valid only in a function body, or only in sloppy mode, is an error."""
    assert words == await problem_of(classic(body))


async def test_compiled_parts_of_a_classic_script_are_checked() -> None:
    """Parts that a classic script has as compiled modules are compiled too; other parts are not loaded."""
    script = classic(b"1;")
    part = CheckedModule("part", TYPES["wasm"], b"no")
    check = CodeCheck(id="1", main_module="worker.js", classic=True, modules=(*script.modules, part), parts=("part",))

    assert (await problem_of(check)).startswith("CompileError")


async def test_too_deep_code_is_reported() -> None:
    """Code that nests too deeply for any parser is a problem of that code only."""
    assert "RangeError: Maximum call stack size exceeded" == await problem_of(modules("js", DEEP))


async def test_a_large_script_is_compiled() -> None:
    """A script of 20 MB is compiled to its end."""
    large = "export default { fetch: () => new Response(`" + "x" * 20_000_000 + "`) };\n"

    assert "" == await problem_of(modules("js", b"", main=large))
    assert "SyntaxError" in await problem_of(modules("js", b"", main=large + "("))


async def test_a_check_that_takes_too_long_passes() -> None:
    """Code whose check takes too long is let through."""
    assert "" == await Compiler(workerd(), seconds=0.0).find_problem(modules("js", b"("))


@pytest.mark.parametrize("date", last_first(DATES))
@pytest.mark.parametrize("name", ['a", esModule = "(', "./a.js", "dir/a b.js", "\u00e9.js", "a%41.js", "a?b#c.js"])
async def test_a_file_of_any_name_is_checked(name: str, date: str) -> None:
    """Files may have any name: bad code is reported, good code is not."""
    for body, fine in ((b"(", False), (GOOD.encode(), True)):
        check = CodeCheck(id="1", main_module=name, modules=(CheckedModule(name, JS, body),), date=date)
        assert fine is (await problem_of(check) == "")
