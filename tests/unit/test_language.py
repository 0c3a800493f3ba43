"""The documents, and the texts of the program, avoid the forms that CONTRIBUTING.md lists under Language."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
AVOIDED: Final = (
    "whoever",
    "anew",
    "is to be",
    "nobody but",
    "in the words of",
    "takes no part",
    "of which",
    "has none",
)


def found(files: list[Path], phrases: tuple[str, ...]) -> list[str]:
    """Return the places where a file has one of the phrases, also across a line end."""
    pattern = re.compile("|".join(rf"\b{phrase}\b".replace(" ", r"\s+") for phrase in phrases), re.IGNORECASE)
    return [
        f"{file.relative_to(ROOT)}: {match[0]}"
        for file in files
        for match in pattern.finditer(file.read_text(encoding="utf-8"))
    ]


def test_documents_avoid_old_forms() -> None:
    """No page has an avoided phrase; CONTRIBUTING.md, which lists them, is not checked."""
    files = [*(ROOT / "docs").rglob("*.md"), *(ROOT / name for name in ("README.md", "SECURITY.md", "CHANGELOG.md"))]

    assert 20 < len(files)
    assert [] == found(files, AVOIDED)


@pytest.mark.parametrize("pattern", ["src/**/*.py", "src/**/*.js", "tests/**/*.py"])
def test_code_avoids_old_forms(pattern: str) -> None:
    """No docstring, comment or message of the program or its tests has an avoided phrase."""
    files = [path for path in ROOT.glob(pattern) if path != Path(__file__) and "node_modules" not in path.parts]

    assert 20 < len(files)
    assert [] == found(files, AVOIDED)
