"""Generates the parts of the client that repeat other parts: `python tools/generate_client.py [--check]`.

`aio/dispatched_secrets.py` is made from `aio/secrets.py`: the same methods with a dispatch namespace. Then each file
of `aio`, except those in `BY_HAND`, is written to `blocking` with the asynchronous words replaced. So the parts
cannot diverge, and each is ordinary code to read, type-check and debug.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

CLIENT = Path(__file__).resolve().parent.parent / "src" / "nightsafe" / "client"
SOURCE, TARGET = CLIENT / "aio", CLIENT / "blocking"
BY_HAND = frozenset({"__init__.py", "listing.py", "waiting.py"})
NOTE = "# Made from aio/{name} by tools/generate_client.py: edit that one.\n"
SECRETS, DISPATCHED = SOURCE / "secrets.py", SOURCE / "dispatched_secrets.py"

NAMESPACE = (
    (
        re.compile(r"client\.workers\.scripts\.secrets"),
        "client.workers_for_platforms.dispatch.namespaces.scripts.secrets",
    ),
    (re.compile(r"of a script\.(?=[^\n]*\"\"\"\n\nfrom)"), "of a script in a namespace."),
    (re.compile(r"\bAsyncSecrets"), "AsyncDispatchedSecrets"),
    (re.compile(r"The secret bindings of a script\."), "The secret bindings of a script in a dispatch namespace."),
    (re.compile(r"\bScriptLocation\(account_id, "), "location_in_namespace(account_id, dispatch_namespace, "),
    (re.compile(r"import ScriptLocation, "), "import location_in_namespace, "),
    (re.compile(r"\baccount_id: str,"), "account_id: str, dispatch_namespace: str,"),
    (re.compile(r"( +)account_id: 32 hex digits\.\n"), r"\g<0>\1dispatch_namespace: the namespace of the script.\n"),
)

WORDS = (
    (re.compile(r"\b_?AsyncPaginator\[(.+\]), \w+\]"), r"\1"),
    (re.compile(r"import AsyncPaginator, listing"), "import listing"),
    (re.compile(r"Awaitable\[(AsyncAPIResponse\[T\]|ListPage\[Any\]|T)\]"), r"\1"),
    (re.compile(r"\bAwaitable, Callable$", re.MULTILINE), "Callable"),
    (re.compile(r"\basync (def|for|with)\b"), r"\1"),
    (re.compile(r"\bawait "), ""),
    (re.compile(r"\bAsyncIterator\b"), "Iterator"),
    (re.compile(r"__a(enter|exit|iter|next)__"), r"__\1__"),
    (re.compile(r"\bhandle_async_request\b"), "handle_request"),
    (re.compile(r"\ba(close|read)\(\)"), r"\1()"),
    (re.compile(r"client\.aio\b"), "client.blocking"),
    (re.compile(r"\b(_?)Async(?=[A-Z])"), r"\1"),
)


def replaced(text: str, words: Iterable[tuple[re.Pattern[str], str]]) -> str:
    """Return a source text with each pattern replaced."""
    for pattern, word in words:
        text = pattern.sub(word, text)
    return text


def made() -> dict[Path, str]:
    """Return the formatted text of every file to write."""
    dispatched = _formatted({DISPATCHED: NOTE.format(name=SECRETS.name) + replaced(SECRETS.read_text(), NAMESPACE)})
    sources = {path: path.read_text() for path in SOURCE.glob("*.py") if path.name not in BY_HAND} | dispatched
    blocking = {
        TARGET / path.name: NOTE.format(name=path.name)
        + replaced(text.removeprefix(NOTE.format(name=SECRETS.name)), WORDS)
        for path, text in sources.items()
    }
    return dispatched | _formatted(blocking)


def _formatted(texts: dict[Path, str]) -> dict[Path, str]:
    """Return these texts, formatted; their files have different names."""
    with tempfile.TemporaryDirectory() as folder:
        for path, text in texts.items():
            (Path(folder) / path.name).write_text(text)
        _ruff("check", "--select", "I", "--fix", folder)
        _ruff("format", folder)
        return {path: (Path(folder) / path.name).read_text() for path in texts}


def _ruff(*arguments: str) -> None:
    """Run the formatter with the project's settings."""
    config = str(CLIENT.parents[2] / "pyproject.toml")
    command = [str(Path(sys.executable).parent / "ruff"), arguments[0], "--quiet", "--no-cache", "--config", config]
    subprocess.run([*command, *arguments[1:]], check=True)


def main() -> None:
    """Write the files. With `--check`, only name the files that are out of date."""
    files = made()
    if "--check" not in sys.argv:
        for path, text in files.items():
            path.write_text(text)
        return
    stale = [path.name for path, text in files.items() if not path.exists() or path.read_text() != text]
    if stale:
        sys.exit(f"out of date: {', '.join(stale)}; run: python tools/generate_client.py")


if __name__ == "__main__":
    main()
