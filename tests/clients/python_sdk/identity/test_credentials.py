"""Every way to give the SDK credentials, what it then sends, and what it is answered."""

import pytest
from cloudflare import BadRequestError, Cloudflare, PermissionDeniedError
from msgspec.structs import replace
from tests.clients.tokens import in_store, write
from tests.clients.wire.talk import Wire
from tests.server import ACCOUNT, Server

from nightsafe.identity.credentials import digest, new_service_key

TOKEN = "CLOUDFLARE_API_TOKEN"
KEY = "CLOUDFLARE_API_KEY"
EMAIL = "CLOUDFLARE_EMAIL"
BASE_URL = "CLOUDFLARE_BASE_URL"
CREDENTIAL_HEADERS = ("authorization", "x-auth-key", "x-auth-email", "x-auth-user-service-key")


@pytest.fixture(autouse=True)
def _base_url(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    """The client finds the server as users set it up: by the environment."""
    monkeypatch.setenv(BASE_URL, server.base_url)


def sent_by(client: Cloudflare, script: str) -> list[str]:
    """Which credential headers a call that succeeds went out with."""
    response = client.workers.scripts.secrets.with_raw_response.list(script, account_id=ACCOUNT)
    assert response.status_code == 200
    return [name for name in CREDENTIAL_HEADERS if name in response.http_request.headers]


@pytest.mark.parametrize("by", ["environment", "argument"])
def test_an_api_token(server: Server, script: str, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """It goes out as a Bearer token and is enough."""
    if by == "environment":
        monkeypatch.setenv(TOKEN, server.safe.api_token)
    with Cloudflare() if by == "environment" else Cloudflare(api_token=server.safe.api_token) as client:
        assert sent_by(client, script) == ["authorization"]


@pytest.mark.parametrize("by", ["environment", "argument"])
def test_a_global_api_key(server: Server, script: str, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """Key and e-mail go out together and are enough."""
    safe = server.safe
    if by == "environment":
        monkeypatch.setenv(KEY, safe.api_key)
        monkeypatch.setenv(EMAIL, safe.email)
    with Cloudflare() if by == "environment" else Cloudflare(api_key=safe.api_key, api_email=safe.email) as client:
        assert sent_by(client, script) == ["x-auth-key", "x-auth-email"]


def test_token_and_key_and_email(server: Server, script: str) -> None:
    """With all three set the SDK sends the pair alone, which is enough."""
    safe = server.safe
    with Cloudflare(api_token=safe.api_token, api_key=safe.api_key, api_email=safe.email) as client:
        assert sent_by(client, script) == ["x-auth-key", "x-auth-email"]


def test_a_token_and_a_stray_email(server: Server, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With CLOUDFLARE_EMAIL set beside a token the SDK sends the e-mail alone: 400 with 9106 says what is missing."""
    monkeypatch.setenv(TOKEN, server.safe.api_token)
    monkeypatch.setenv(EMAIL, server.safe.email)
    with Cloudflare() as client, pytest.raises(BadRequestError) as raised:
        client.workers.scripts.secrets.list(script, account_id=ACCOUNT)

    [error] = raised.value.errors
    sent = raised.value.response.request.headers
    assert (error.code, error.message) == (9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")
    assert [name for name in CREDENTIAL_HEADERS if name in sent] == ["x-auth-email"]


def test_a_token_and_an_email_put_right_by_a_header(server: Server, script: str) -> None:
    """A Bearer token given as a header wins over the e-mail beside it."""
    header = {"Authorization": f"Bearer {server.safe.api_token}"}
    with Cloudflare(api_token="x", api_email=server.safe.email, default_headers=header) as client:
        assert sent_by(client, script) == ["authorization", "x-auth-email"]


def test_a_service_key_alone(server: Server, script: str) -> None:
    """It goes out by itself and is enough; one that nobody has is 400 with 9103."""
    owner, key = in_store(server.safe, lambda store: store.user_by_email(server.safe.email)), new_service_key()
    assert owner is not None
    write(server.safe, replace(owner, service_key_digest=digest(key)))

    with Cloudflare(user_service_key=key) as client:
        assert sent_by(client, script) == ["x-auth-user-service-key"]
    with Cloudflare(user_service_key="v1.0-service-key") as client, pytest.raises(BadRequestError) as raised:
        client.workers.scripts.secrets.list(script, account_id=ACCOUNT)
    assert [error.code for error in raised.value.errors] == [9103]


def test_no_credentials(script: str) -> None:
    """The SDK does not even ask."""
    with Cloudflare() as client, pytest.raises(TypeError, match="authentication"):
        client.workers.scripts.secrets.list(script, account_id=ACCOUNT)


@pytest.mark.parametrize(("token", "code"), [("with space", 6003), ('"quoted"', 6003), ("ends in ==x", 6003)])
def test_a_malformed_token(script: str, token: str, code: int) -> None:
    """400 with 6003, and 6111 in its chain."""
    with Cloudflare(api_token=token) as client, pytest.raises(BadRequestError) as raised:
        client.workers.scripts.secrets.list(script, account_id=ACCOUNT)

    [error] = raised.value.errors
    assert error.code == code
    assert error.model_extra is not None
    assert [one["code"] for one in error.model_extra["error_chain"]] == [6111]


def test_unknown_credentials(server: Server, wire: Wire, script: str) -> None:
    """An unknown token is 403 with 10000, an unknown key 400 with 9103; neither changes anything."""
    secret = {"name": "planted", "text": "x", "type": "secret_text"}
    with Cloudflare(api_token="nst_unknown") as client, pytest.raises(PermissionDeniedError) as denied:
        client.workers.scripts.secrets.update(script, account_id=ACCOUNT, **secret)  # type: ignore[call-overload]
    with (
        Cloudflare(api_key="0" * 37, api_email=server.safe.email) as client,
        pytest.raises(BadRequestError) as unknown,
    ):
        client.workers.scripts.secrets.update(script, account_id=ACCOUNT, **secret)  # type: ignore[call-overload]

    assert [error.code for error in denied.value.errors + unknown.value.errors] == [10000, 9103]
    assert wire.names(script) == []
