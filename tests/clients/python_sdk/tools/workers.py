"""Small Workers and their data, through the synchronous client."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from cloudflare import APIStatusError, Cloudflare
from tests.server import ACCOUNT

MODULE = ("worker.js", b"export default {};", "application/javascript+module")
MOST = 10_000


def upload(client: Cloudflare, script: str, *bindings: Any, **metadata: Any) -> Any:
    """Upload and deploy a small script."""
    described: Any = {"main_module": "worker.js", "bindings": bindings, **metadata}
    return client.workers.scripts.update(script, account_id=ACCOUNT, metadata=described, files=[MODULE])


def add_version(client: Cloudflare, script: str, *bindings: Any, **metadata: Any) -> dict[str, Any]:
    """Create a version that is not deployed; return it raw, since the SDK cannot build its model."""
    described: Any = {"main_module": "worker.js", "bindings": bindings, **metadata}
    raw = client.workers.scripts.versions.with_raw_response
    made: Any = raw.create(script, account_id=ACCOUNT, metadata=described, files=[MODULE]).json()
    version: dict[str, Any] = made["result"]
    return version


def secret(name: str, text: str) -> dict[str, str]:
    """Return a secret text as in uploads."""
    return {"type": "secret_text", "name": name, "text": text}


def plain(name: str, text: str) -> dict[str, str]:
    """Return a text variable as in uploads."""
    return {"type": "plain_text", "name": name, "text": text}


def serve(client: Cloudflare, script: str, *shares: tuple[str, float], **more: Any) -> Any:
    """Deploy versions by id, each with its percentage."""
    versions: Any = [{"version_id": version, "percentage": percentage} for version, percentage in shares]
    at = client.workers.scripts.deployments
    return at.create(script, account_id=ACCOUNT, strategy="percentage", versions=versions, **more)


def deployments(client: Cloudflare, script: str, **query: Any) -> list[dict[str, Any]]:
    """Return a script's deployments, newest first, as in the API: the SDK's model of the list is different."""
    listed: list[dict[str, Any]] = fields(
        every(client.workers.scripts.deployments.list(script, account_id=ACCOUNT, **query))
    )
    return listed


def every(pages: Iterable[Any]) -> list[Any]:
    """Return every item of a list that the client reads page by page, which must end."""
    items = list(itertools.islice(pages, MOST))
    assert len(items) < MOST
    return items


def fields(model: Any) -> Any:
    """Return all fields of a model of the SDK, by their names in the API."""
    if isinstance(model, Sequence):
        return [fields(item) for item in model]
    return model.model_dump(mode="json", exclude_unset=True, by_alias=True)


def codes(error: APIStatusError) -> tuple[int, list[int | None]]:
    """Return the status and the codes of a refusal, after checking that the client did not retry."""
    assert error.response.request.headers["x-stainless-retry-count"] == "0"
    return error.status_code, [problem.code for problem in error.errors]
