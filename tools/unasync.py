"""Generates the blocking client from the asynchronous one: `python tools/unasync.py [--check]`.

Each file of `src/nightsafe/client/aio`, except those in `BY_HAND`, is written to `blocking` with the asynchronous
words replaced. So the two clients cannot diverge, and each is ordinary code to read, type-check and debug.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

CLIENT = Path(__file__).resolve().parent.parent / "src" / "nightsafe" / "client"
SOURCE, TARGET = CLIENT / "aio", CLIENT / "blocking"
BY_HAND = frozenset({"__init__.py", "listing.py", "waiting.py"})
NOTE = "# Made from aio/{name} by tools/unasync.py: edit that one.\n"

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


def blocking(text: str) -> str:
    """Return the blocking form of a source text."""
    for pattern, word in WORDS:
        text = pattern.sub(word, text)
    return text


def made() -> dict[Path, str]:
    """Return the formatted text of every file to write."""
    with tempfile.TemporaryDirectory() as folder:
        for source in sorted(SOURCE.glob("*.py")):
            if source.name not in BY_HAND:
                text = NOTE.format(name=source.name) + blocking(source.read_text())
                (Path(folder) / source.name).write_text(text)
        _ruff("check", "--select", "I", "--fix", folder)
        _ruff("format", folder)
        return {TARGET / file.name: file.read_text() for file in Path(folder).glob("*.py")}


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
        sys.exit(f"out of date with aio: {', '.join(stale)}; run: python tools/unasync.py")


if __name__ == "__main__":
    main()
