"""Small Workers, and what there is to tell of them, by the blocking client."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from cloudflare import APIStatusError, Cloudflare
from tests.server import ACCOUNT

MODULE = ("worker.js", b"export default {};", "application/javascript+module")
MOST = 10_000


def upload(client: Cloudflare, script: str, *bindings: Any, **metadata: Any) -> Any:
    """Upload a small script, which is then served."""
    described: Any = {"main_module": "worker.js", "bindings": bindings, **metadata}
    return client.workers.scripts.update(script, account_id=ACCOUNT, metadata=described, files=[MODULE])


def add_version(client: Cloudflare, script: str, *bindings: Any, **metadata: Any) -> dict[str, Any]:
    """Make a version that is not served. The SDK cannot build its model, so what is given comes raw."""
    described: Any = {"main_module": "worker.js", "bindings": bindings, **metadata}
    raw = client.workers.scripts.versions.with_raw_response
    made: Any = raw.create(script, account_id=ACCOUNT, metadata=described, files=[MODULE]).json()
    version: dict[str, Any] = made["result"]
    return version


def secret(name: str, text: str) -> dict[str, str]:
    """A secret text as uploads have it."""
    return {"type": "secret_text", "name": name, "text": text}


def plain(name: str, text: str) -> dict[str, str]:
    """A text variable as uploads have it."""
    return {"type": "plain_text", "name": name, "text": text}


def serve(client: Cloudflare, script: str, *shares: tuple[str, float], **more: Any) -> Any:
    """Serve versions by their ids, each with its percentage."""
    versions: Any = [{"version_id": version, "percentage": percentage} for version, percentage in shares]
    at = client.workers.scripts.deployments
    return at.create(script, account_id=ACCOUNT, strategy="percentage", versions=versions, **more)


def deployments(client: Cloudflare, script: str, **query: Any) -> list[dict[str, Any]]:
    """The deployments of a script, newest first; as the wire has them, for the SDK's model of the list is another."""
    listed: list[dict[str, Any]] = fields(
        every(client.workers.scripts.deployments.list(script, account_id=ACCOUNT, **query))
    )
    return listed


def every(pages: Iterable[Any]) -> list[Any]:
    """Every item of a list that the client follows page by page: it must come to an end."""
    items = list(itertools.islice(pages, MOST))
    assert len(items) < MOST
    return items


def fields(model: Any) -> Any:
    """All that a model of the SDK holds, by the names of the wire."""
    if isinstance(model, Sequence):
        return [fields(one) for one in model]
    return model.model_dump(mode="json", exclude_unset=True, by_alias=True)


def codes(error: APIStatusError) -> tuple[int, list[int | None]]:
    """Status and codes of a refusal, which the client did not send again."""
    assert error.response.request.headers["x-stainless-retry-count"] == "0"
    return error.status_code, [one.code for one in error.errors]
