"""The blocks of deploy/README.md, by the heading that they are under."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "deploy"
_BLOCK: Final = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMAND: Final = re.compile(r"(?:^|[`;&|(]|\bbin/)\s*nightsafe ((?:[^`\n|>;&\\]|\\\n)+)", re.MULTILINE)


def blocks(heading: str) -> list[str]:
    """Return the shell blocks under a heading of the page."""
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    section = page.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    found = _BLOCK.findall(section)
    assert found
    return found


def commands(text: str) -> list[str]:
    """Return the arguments of each `nightsafe` command in a text."""
    return [match.strip() for match in _COMMAND.findall(text)]
