"""The name of the script whose wrangler configuration lies in the working directory."""

import re
from pathlib import Path
from typing import Any, Final

_FILES: Final = ("wrangler.json", "wrangler.jsonc", "wrangler.toml")
_STRING: Final = r'"(?:\\.|[^"\\])*"'
_COMMENT: Final = re.compile(rf"({_STRING})|//[^\n]*|/\*.*?\*/", re.DOTALL)
_TRAILING_COMMA: Final = re.compile(rf"({_STRING})|,(?=\s*[}}\]])", re.DOTALL)


def configured_script(folder: Path) -> str | None:
    """The `name` of the configuration that wrangler would read there; None without one."""
    for name in _FILES:
        path = folder / name
        if path.is_file():
            return _name_in(path)
    return None


def _name_in(path: Path) -> str | None:
    """The name in one file; None when it has none, or cannot be read."""
    try:
        content = path.read_text(encoding="utf-8")
        fields = _toml(content) if path.suffix == ".toml" else _jsonc(content)
    except (OSError, ValueError, RecursionError):
        return None
    name = fields.get("name") if isinstance(fields, dict) else None
    return name if isinstance(name, str) and name else None


def _toml(content: str) -> Any:
    """TOML."""
    import tomllib  # noqa: PLC0415 - seldom needed

    return tomllib.loads(content)


def _jsonc(content: str) -> Any:
    """JSON with comments and commas before a closing bracket."""
    import json  # noqa: PLC0415 - seldom needed

    bare = _COMMENT.sub(lambda found: found[1] or " ", content)
    return json.loads(_TRAILING_COMMA.sub(lambda found: found[1] or "", bare))
