"""House rules that no ready-made linter checks: plaintext is never shown, and others."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "nightsafe"
FILES = sorted(SOURCE.rglob("*.py"))

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50

MAY_REVEAL = ("sealing/", "delivery/")
MAY_CATCH_ALL = {
    "api/http/routing.py": "the edge",
    "audit/sinks/in_thread.py": "passes it to the task that waits",
    "cli/completing.py": "an error must not disturb the line that is being typed",
    "cli/server/api_server.py": "with any invalid new certificate, the server keeps the present one",
    "delivery/keep_running.py": "restarts a task after any error",
    "store/postgres/engine/group_commit.py": "passes it to the caller of one change",
    "store/postgres/engine/writer.py": "passes it to every waiting caller",
    "store/sqlite/engine/checkpointer.py": "without its thread the log would never be cut",
    "store/sqlite/engine/write_batch.py": "passes it to the caller of one change",
    "store/sqlite/engine/writer.py": "passes it to every waiting caller",
}

PLAINTEXT_NAMES = frozenset({"plaintext", "cleartext", "secret_value", "secret", "text", "material", "SecretValue"})
PLAINTEXT_MEMBERS = frozenset({"value", "reveal", "_buffer"}) | PLAINTEXT_NAMES
TELLS_NO_CONTENT = frozenset({"len", "type", "type_name", "isinstance", "bool"})
LOG_METHODS = frozenset({"debug", "info", "warning", "warn", "error", "exception", "critical", "log", "msg", "bind"})
PRINTERS = frozenset({"print", "repr", "str", "ascii", "format"})
SHOWING_METHODS = frozenset({"__repr__", "__str__", "__format__", "__rich_repr__"})

Finding = tuple[int, str]


def leaks(expression: ast.AST) -> Iterator[ast.AST]:
    """Yield the plaintext in an expression, by its names, unless only its length or type is used."""
    if isinstance(expression, ast.Call):
        function = expression.func
        if isinstance(function, ast.Name) and function.id in TELLS_NO_CONTENT:
            return
    named = isinstance(expression, ast.Name) and expression.id in PLAINTEXT_NAMES
    if named or (isinstance(expression, ast.Attribute) and expression.attr in PLAINTEXT_MEMBERS):
        yield expression
        return
    for child in ast.iter_child_nodes(expression):
        yield from leaks(child)


def sinks(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield every expression whose content may be read, with the place where it is shown."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FormattedValue):
            yield "an f-string", node.value
        elif isinstance(node, ast.Raise):
            yield from (("a raise", part) for part in (node.exc, node.cause) if part is not None)
        elif isinstance(node, ast.Assert) and node.msg is not None:
            yield "an assertion", node.msg
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and is_text(node.left):
            yield "a % format", node.right
        elif isinstance(node, ast.Call):
            yield from sinks_of_call(node)
        elif isinstance(node, ast.FunctionDef) and node.name in SHOWING_METHODS:
            yield from (
                (node.name, part.value) for part in ast.walk(node) if isinstance(part, ast.Return) and part.value
            )


def sinks_of_call(call: ast.Call) -> Iterator[tuple[str, ast.AST]]:
    """Yield the arguments of a call that logs, prints or formats."""
    function, where = call.func, ""
    if isinstance(function, ast.Name) and function.id in PRINTERS:
        where = f"{function.id}()"
    elif isinstance(function, ast.Attribute):
        owner = ast.unparse(function.value)
        if function.attr in LOG_METHODS and re.search(r"(^|[._])log(ger|ging)?(\(|$|\.)", owner):
            where = "a log call"
        elif function.attr == "format" and is_text(function.value):
            where = "a format call"
        elif owner == "click" and function.attr in {"echo", "secho"}:
            where = "the terminal"
    if where:
        yield from ((where, part) for part in (*call.args, *(keyword.value for keyword in call.keywords)))


def is_text(node: ast.AST) -> bool:
    """Return whether a node is a string constant; bytes are built for the wire, not for readers."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def plaintext_shown(tree: ast.AST) -> Iterator[Finding]:
    """Yield plaintext, or a revealed value, that is shown."""
    for where, expression in sinks(tree):
        for leak in leaks(expression):
            yield getattr(leak, "lineno", 0), f"{ast.unparse(leak)} in {where}"


def revealed(tree: ast.AST) -> Iterator[Finding]:
    """Yield uses of `.reveal`, called or passed on."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in {"reveal", "_buffer"}:
            owned = isinstance(node.value, ast.Name) and node.value.id == "self"
            if not (owned and node.attr == "_buffer"):
                yield node.lineno, f"{ast.unparse(node)}: only sealing and delivery may"


def catches_all(tree: ast.AST) -> Iterator[Finding]:
    """Yield handlers of every exception, except those that clean up and raise again."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            kinds = {part.id for part in ast.walk(node.type) if isinstance(part, ast.Name)} if node.type else {"bare"}
            last = node.body[-1]
            again = isinstance(last, ast.Raise) and last.exc is None
            if kinds & {"Exception", "BaseException", "bare"} and not again:
                yield node.lineno, "except for any exception"


def long_functions(tree: ast.AST) -> Iterator[Finding]:
    """Yield functions that are too long."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                yield node.lineno, f"{node.name} has {lines} lines"


def selects_everything(text: str) -> Iterator[Finding]:
    """Yield SQL that names no columns."""
    for found in re.finditer(r"\bselect\s+(\w+\.)?\*", text, re.IGNORECASE):
        yield text.count("\n", 0, found.start()) + 1, "SELECT *"


def naked_todos(text: str) -> Iterator[Finding]:
    """Yield TODO comments without an owner."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and re.search(r"\b(TODO|FIXME|XXX|HACK)\b(?!\(\S)", token.string):
            yield token.start[0], "an open end without an owner"


def findings(text: str, name: str) -> list[Finding]:
    """Return all violations in one file."""
    tree = ast.parse(text)
    found = [*plaintext_shown(tree), *long_functions(tree), *selects_everything(text), *naked_todos(text)]
    if not name.startswith(MAY_REVEAL):
        found += revealed(tree)
    if name not in MAY_CATCH_ALL:
        found += catches_all(tree)
    if text.count("\n") > MAX_FILE_LINES:
        found.append((MAX_FILE_LINES, f"more than {MAX_FILE_LINES} lines"))
    return sorted(set(found))


def test_the_source_keeps_the_rules() -> None:
    """No file shows plaintext, reveals it where it must not, swallows errors or is too long."""
    names = {path.relative_to(SOURCE).as_posix(): path.read_text(encoding="utf-8") for path in FILES}

    assert {} == {name: found for name, text in names.items() if (found := findings(text, name))}


def test_sql_names_its_columns() -> None:
    """SQL of migrations names its columns."""
    migrations = sorted(SOURCE.rglob("*.sql"))

    assert migrations
    assert [] == [found for path in migrations for found in selects_everything(path.read_text(encoding="utf-8"))]


def test_the_rules_are_checked_on_many_files() -> None:
    """The rules are checked on many files, and every exempted file exists."""
    names = {path.relative_to(SOURCE).as_posix() for path in FILES}

    assert len(FILES) > 50
    assert set(MAY_CATCH_ALL) <= names


FORBIDDEN = {
    "f-string": 'x = f"{plaintext}"',
    "f-string of a member": 'x = f"{secret.value!r}"',
    "f-string of a revealed value": 'x = f"a {value.reveal().decode()} b"',
    "f-string with a format": 'x = f"{1:{text}}"',
    "f-string of the type": 'x = f"{SecretValue(b)}"',
    "raise": "raise ValueError(plaintext)",
    "raise from": "raise ValueError() from Odd(self.secret.text)",
    "raise with a call": "raise Odd(decode(binding.value))",
    "assertion": "assert ok, plaintext",
    "log": "_log.warning('x', why=secret.value)",
    "log of self": "self._logger.info(plaintext)",
    "log of the library": "structlog.get_logger().error('x', material)",
    "logging": "import logging\nlogging.debug('%s', secret_value)",
    "print": "print(plaintext)",
    "terminal": "click.echo(secret)",
    "repr": "x = repr(fields.text)",
    "str": "x = str(material)",
    "percent": "x = 'a %s' % plaintext",
    "percent of several": "x = 'a %s %s' % (1, plaintext)",
    "format": "x = '{}'.format(plaintext)",
    "repr method": "class A:\n    def __repr__(self):\n        return 'A' + self.value",
    "reveal": "x = value.reveal()",
    "reveal passed on": "x = map(value.reveal, [])",
    "buffer": "x = value._buffer",
    "except": "try:\n    x()\nexcept Exception:\n    pass",
    "except among others": "try:\n    x()\nexcept (OSError, Exception) as e:\n    y(e)",
    "except base": "try:\n    x()\nexcept BaseException:\n    pass",
    "bare except": "try:\n    x()\nexcept:\n    pass",
    "raise another": "try:\n    x()\nexcept Exception:\n    raise Odd",
    "select": "SQL = 'SELECT * FROM a'",
    "select over lines": "SQL = '''\nselect\n  b.* FROM b'''",
    "todo": "x = 1  # TODO: later",
    "fixme": "# FIXME",
    "long function": "def f():\n" + "    x()\n" * MAX_FUNCTION_LINES,
    "long method": "class A:\n    async def f(self):\n" + "        x()\n" * MAX_FUNCTION_LINES,
    "long file": "x = 1\n" * (MAX_FILE_LINES + 1),
}

ALLOWED = {
    "length": 'x = f"{len(plaintext)} bytes"',
    "type": 'raise ValueError(f"not {type_name(text)}")',
    "a part of a name": 'x = f"{context} {plaintext_length} {values}"',
    "a word in the text": 'x = f"the plaintext {count}"',
    "bytes": "x = b'%b' % plaintext",
    "arithmetic": "x = plaintext_length % 3",
    "wiping": "secret.value.wipe()",
    "sealing": "record = sealer.seal(context, secret.value)",
    "own buffer": "class A:\n    def f(self):\n        return self._buffer",
    "another log": "catalog.warning(plaintext)",
    "clean up": "try:\n    x()\nexcept BaseException:\n    y()\n    raise",
    "known errors": "try:\n    x()\nexcept (OSError, ValueError):\n    pass",
    "columns": "SQL = 'SELECT a, count(*) FROM b'",
    "product": "x = 'select 2 * 3'",
    "owned": "x = 1  # TODO(owner): later",
    "no comment": "x = 'TODO'",
    "function": "def f():\n" + "    x()\n" * (MAX_FUNCTION_LINES - 1),
    "file": "x = 1\n" * MAX_FILE_LINES,
}


@pytest.mark.parametrize("text", FORBIDDEN.values(), ids=FORBIDDEN)
def test_the_rules_find_forbidden_examples(text: str) -> None:
    """Each forbidden example is found."""
    assert findings(text, "api/some.py")


@pytest.mark.parametrize("text", ALLOWED.values(), ids=ALLOWED)
def test_the_rules_pass_allowed_examples(text: str) -> None:
    """No allowed example is reported."""
    assert [] == findings(text, "api/some.py")


def test_some_folders_are_exempted_from_some_rules() -> None:
    """Sealing and delivery may reveal and the edge may catch everything, but neither may show plaintext."""
    assert [] == findings(FORBIDDEN["reveal"], "sealing/some.py")
    assert [] == findings(FORBIDDEN["reveal"], "delivery/some.py")
    assert [] == findings(FORBIDDEN["except"], "api/http/routing.py")
    assert findings(FORBIDDEN["f-string of a revealed value"], "sealing/some.py")
