"""Reads the script's name from the wrangler configuration in the working directory."""

import re
from pathlib import Path
from typing import Any, Final

_FILES: Final = ("wrangler.json", "wrangler.jsonc", "wrangler.toml")
_STRING: Final = r'"(?:\\.|[^"\\])*"'
_COMMENT: Final = re.compile(rf"({_STRING})|//[^\n]*|/\*.*?\*/", re.DOTALL)
_TRAILING_COMMA: Final = re.compile(rf"({_STRING})|,(?=\s*[}}\]])", re.DOTALL)


def configured_script(folder: Path) -> str | None:
    """Return the `name` in the configuration that wrangler would read in a folder, or None."""
    for name in _FILES:
        path = folder / name
        if path.is_file():
            return _name_in(path)
    return None


def _name_in(path: Path) -> str | None:
    """Return the name in one file; None if there is no name or the file cannot be read."""
    try:
        content = path.read_text(encoding="utf-8")
        fields = _toml(content) if path.suffix == ".toml" else _jsonc(content)
    except (OSError, ValueError, RecursionError):
        return None
    name = fields.get("name") if isinstance(fields, dict) else None
    return name if isinstance(name, str) and name else None


def _toml(content: str) -> Any:
    """Parse TOML."""
    import tomllib  # rarely needed

    return tomllib.loads(content)


def _jsonc(content: str) -> Any:
    """Parse JSON with comments and with commas before a closing bracket."""
    import json  # rarely needed

    bare = _COMMENT.sub(lambda match: match[1] or " ", content)
    return json.loads(_TRAILING_COMMA.sub(lambda match: match[1] or "", bare))
