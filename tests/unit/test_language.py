"""The documents, and the texts of the program, avoid the forms that CONTRIBUTING.md lists under Language."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
AVOIDED: Final = ("whoever", "anew", "is to be", "nobody but", "in the words of", "takes no part")
IN_DOCUMENTS: Final = (*AVOIDED, "of which", "has none")


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
    assert [] == found(files, IN_DOCUMENTS)


@pytest.mark.parametrize("ending", ["py", "js"])
def test_the_program_avoids_old_forms(ending: str) -> None:
    """No docstring, comment or message of the program has an avoided phrase."""
    files = list((ROOT / "src" / "nightsafe").rglob(f"*.{ending}"))

    assert 20 < len(files)
    assert [] == found(files, AVOIDED)
