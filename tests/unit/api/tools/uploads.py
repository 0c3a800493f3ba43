"""Forms with metadata, and versions that they make."""

import json
from typing import Any

from tests.unit.api.tools import values
from tests.unit.api.tools.driver import Answer, Api, File, form, form_type, script_at

WRANGLER = (b"user-agent", b"wrangler/4.86.0")


def metadata(fields: object) -> File:
    """Return the part `metadata`."""
    return File("metadata", json.dumps(fields).encode(), "application/json", as_file=False)


def versions_of(script: str) -> str:
    """Return the path of a script's versions."""
    return f"{script_at(script)}/versions"


def add(api: Api, script: str, fields: dict[str, Any] | None = None, *files: File, query: str = "") -> Answer:
    """POST a version; by default one module without bindings."""
    all_files = files or (File("worker.js"),)
    body = form(metadata({"main_module": all_files[0].name, **(fields or {})}), *all_files)
    answer = api.send("POST", versions_of(script) + query, body, [form_type(), WRANGLER])
    assert not values.holds_plant(answer.body)
    return answer


def items(api: Api, script: str, query: str = "") -> list[dict[str, Any]]:
    """Return the versions of a list."""
    found: list[dict[str, Any]] = api.send("GET", versions_of(script) + query).result["items"]
    return found
