"""Plans: a state is `same` or `changed` only if that is certain, and `unknown` otherwise."""

import json
from pathlib import Path
from typing import Any

import pytest

from nightsafe.cli.secret.fingerprints import TAG, FingerprintKey, FingerprintScope
from nightsafe.cli.secret.plan import make_plan
from nightsafe.cli.settings.remote import Remote
from nightsafe.client import APIStatusError, Nightsafe, Request, Response
from nightsafe.client.timeouts import Timeout

ACCOUNT = "a" * 32
KEY = FingerprintKey(bytes(32))
ONE = {"type": "secret_text", "text": "1"}


class StubServer:
    """A server with one secret, and with a given answer about its origin.

    Args:
        status: of the answer about origins.
        result: of the same.
    """

    def __init__(self, status: int, result: object) -> None:
        self._origins = (status, result)

    def send(self, request: Request, timeout: Timeout) -> Response:
        """Return the answer."""
        assert timeout
        status, result = (
            self._origins if b"/nightsafe/" in request.target else (200, [{"name": "A", "type": "secret_text"}])
        )
        errors = [] if status == 200 else [{"code": 7003, "message": "no route"}]
        body = {"success": status == 200, "errors": errors, "messages": [], "result": result}
        return Response(status, [(b"content-type", b"application/json")], json.dumps(body).encode())

    def close(self) -> None:
        """Do nothing."""


def state(server: StubServer, declared: dict[str, Any]) -> str:
    """Return the planned state of the secret."""
    remote = Remote(
        url=None, account_id=ACCOUNT, token_file=None, data=Path("none"), plain_http=False, script="worker"
    )
    remote.client = Nightsafe(api_token="x", base_url="http://127.0.0.1/client/v4", http_client=server, max_retries=0)
    [step] = make_plan(remote, {"A": declared}, KEY).steps
    return step.state


def origin(tag: object) -> list[dict[str, Any]]:
    """Return the server's origin of the secret, with this tag."""
    return [{"name": "A", "version_id": "x", "version_tags": {TAG: tag}}]


def test_a_tag_shows_whether_a_value_changed() -> None:
    """A matching tag means `same`; another value or another type means `changed`."""
    server = StubServer(200, origin(KEY.tag(FingerprintScope(ACCOUNT, "worker"), {"A": ONE})))

    assert "same" == state(server, ONE)
    assert "changed" == state(server, ONE | {"text": "2"})
    assert "changed" == state(StubServer(404, None), {"type": "secret_key", "format": "raw", "usages": []})


@pytest.mark.parametrize(
    "server",
    [
        StubServer(404, None),
        StubServer(400, None),
        StubServer(405, None),
        StubServer(200, None),
        StubServer(200, {}),
        StubServer(200, []),
        StubServer(200, [1]),
        StubServer(200, [{"name": "A"}]),
        StubServer(200, origin(None)),
        StubServer(200, origin("nonsense")),
        StubServer(200, origin(KEY.tag(FingerprintScope(ACCOUNT, "worker"), {"A": ONE}).replace("1.", "2.", 1))),
        StubServer(200, origin(FingerprintKey(b"\x01" * 32).tag(FingerprintScope(ACCOUNT, "worker"), {"A": ONE}))),
    ],
)
def test_without_a_usable_tag_the_state_is_unknown(server: StubServer) -> None:
    """Without a usable tag from the server, the state is unknown."""
    assert "unknown" == state(server, ONE)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failing_server_raises_an_error(status: int) -> None:
    """A failing server raises an error instead of an unknown state."""
    with pytest.raises(APIStatusError):
        state(StubServer(status, None), ONE)
