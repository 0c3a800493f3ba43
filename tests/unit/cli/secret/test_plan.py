"""Plans: what is certain is said, and what is not is `unknown`, whatever the server tells or leaves out."""

import json
from pathlib import Path
from typing import Any

import pytest

from nightsafe.cli.secret.fingerprints import TAG, FingerprintKey, Place
from nightsafe.cli.secret.plan import make_plan
from nightsafe.cli.settings.remote import Remote
from nightsafe.client import APIStatusError, Nightsafe, Request, Response
from nightsafe.client.timeouts import Timeout

ACCOUNT = "a" * 32
KEY = FingerprintKey(bytes(32))
ONE = {"type": "secret_text", "text": "1"}


class Told:
    """A server that has one secret, and tells of its origin what it is told to.

    Args:
        status: of the answer about origins.
        result: of the same.
    """

    def __init__(self, status: int, result: object) -> None:
        self._origins = (status, result)

    def send(self, request: Request, timeout: Timeout) -> Response:
        """Answer."""
        assert timeout
        status, result = (
            self._origins if b"/nightsafe/" in request.target else (200, [{"name": "A", "type": "secret_text"}])
        )
        errors = [] if status == 200 else [{"code": 7003, "message": "no route"}]
        body = {"success": status == 200, "errors": errors, "messages": [], "result": result}
        return Response(status, [(b"content-type", b"application/json")], json.dumps(body).encode())

    def close(self) -> None:
        """Nothing to close."""


def state(told: Told, declared: dict[str, Any]) -> str:
    """What is to happen to the secret."""
    remote = Remote(
        url=None, account_id=ACCOUNT, token_file=None, data=Path("none"), plain_http=False, script="worker"
    )
    remote.client = Nightsafe(api_token="x", base_url="http://127.0.0.1/client/v4", http_client=told, max_retries=0)
    [step] = make_plan(remote, {"A": declared}, KEY).steps
    return step.state


def origin(tag: object) -> list[dict[str, Any]]:
    """What a server tells of the secret."""
    return [{"name": "A", "version_id": "x", "version_tags": {TAG: tag}}]


def test_what_a_tag_tells() -> None:
    """The value that was put is the same, another has changed, another type has for certain."""
    told = Told(200, origin(KEY.tag(Place(ACCOUNT, "worker"), {"A": ONE})))

    assert "same" == state(told, ONE)
    assert "changed" == state(told, ONE | {"text": "2"})
    assert "changed" == state(Told(404, None), {"type": "secret_key", "format": "raw", "usages": []})


@pytest.mark.parametrize(
    "told",
    [
        Told(404, None),
        Told(400, None),
        Told(405, None),
        Told(200, None),
        Told(200, {}),
        Told(200, []),
        Told(200, [1]),
        Told(200, [{"name": "A"}]),
        Told(200, origin(None)),
        Told(200, origin("nonsense")),
        Told(200, origin(KEY.tag(Place(ACCOUNT, "worker"), {"A": ONE}).replace("1.", "2.", 1))),
        Told(200, origin(FingerprintKey(b"\x01" * 32).tag(Place(ACCOUNT, "worker"), {"A": ONE}))),
    ],
)
def test_what_nobody_tells_is_unknown(told: Told) -> None:
    """A server that has no such page, one that answers anything, a tag of another form or key."""
    assert "unknown" == state(told, ONE)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failure_is_no_answer(status: int) -> None:
    """A server that fails is not taken for one that does not know."""
    with pytest.raises(APIStatusError):
        state(Told(status, None), ONE)
