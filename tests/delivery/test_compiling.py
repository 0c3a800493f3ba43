"""The runtime compiles what is uploaded, and runs none of it."""

import pytest
from tests.delivery.scene import workerd

from nightsafe.bundle.checking import Check, CheckedModule
from nightsafe.delivery.compiling import Compiler

DEEP = b"export default " + b"[" * 200_000
PLACES = {
    "js": (b"export default {\n fetch( }", "SyntaxError: Unexpected token '}' at lib/it.x:2:8"),
    "cjs": (b"module.exports = (", "SyntaxError: Unexpected end of input at lib/it.x:1:18"),
    "json": (b"{a", "SyntaxError: Expected property name or '}' in JSON"),
    "wasm": (b"no", "CompileError: WasmModuleObject::Compile()"),
}


def modules(kind: str, body: bytes) -> Check:
    """An upload of a good main module and another file."""
    good = CheckedModule("index.js", "js", b"export default { fetch() {} };")
    return Check(id="1", modules=(good, CheckedModule("lib/it.x", kind, body)))


@pytest.mark.parametrize("kind", PLACES)
async def test_what_does_not_compile(kind: str) -> None:
    """Is told with its place, in whichever file it is, imported or not."""
    body, words = PLACES[kind]

    assert (await Compiler(workerd()).problem_of(modules(kind, body))).startswith(words)


@pytest.mark.parametrize(
    "body",
    [b"while (true);", b"throw new Error('ran');", b"await new Promise(() => {});", b"import x from './absent.js';"],
)
async def test_nothing_is_run(body: bytes) -> None:
    """Neither a loop nor what throws: it compiles, and that is all that is asked."""
    assert "" == await Compiler(workerd()).problem_of(modules("js", body))


@pytest.mark.parametrize(
    "body", [b"while (true); //", b"let exports, module, require; throw 1", b"<!-- x\nreturn_: 1"]
)
async def test_classic_scripts(body: bytes) -> None:
    """Are compiled as such: in sloppy mode, without names that belong to modules, and not run either."""
    compiler = Compiler(workerd())

    assert "" == await compiler.problem_of(Check(id="1", classic=body))
    assert (await compiler.problem_of(Check(id="1", classic=body + b"\n)"))).startswith("SyntaxError: ")


async def test_too_deep() -> None:
    """Code that no parser gets through is a problem of that code and of nothing else."""
    assert "RangeError: Maximum call stack size exceeded" == await Compiler(workerd()).problem_of(modules("js", DEEP))


async def test_no_verdict_in_time() -> None:
    """What takes too long is let through."""
    assert "" == await Compiler(workerd(), seconds=0.0).problem_of(modules("js", b"("))


async def test_names_that_cannot_be_written_down() -> None:
    """A file whose name would end the configuration's string is not looked at."""
    check = Check(id="1", modules=(CheckedModule('a", esModule = "(', "js", b"("),))

    assert "" == await Compiler(workerd()).problem_of(check)


async def test_typescript() -> None:
    """With the flag that strips types, they are no error."""
    check = Check(id="1", modules=(CheckedModule("a.ts", "js", b"let x: string; export default {};"),))
    compiler = Compiler(workerd())

    assert "SyntaxError" in await compiler.problem_of(check)
    stripped = Check(id="1", modules=check.modules, flags=("typescript_strip_types",))
    assert "SyntaxError" not in await compiler.problem_of(stripped)
