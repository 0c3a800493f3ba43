"""Every way to give the SDK credentials: the headers that it sends, and the answers."""

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
    """Configure the client's server by the environment, as users do."""
    monkeypatch.setenv(BASE_URL, server.base_url)


def sent_by(client: Cloudflare, script: str) -> list[str]:
    """Return the names of the credential headers of a successful call."""
    response = client.workers.scripts.secrets.with_raw_response.list(script, account_id=ACCOUNT)
    assert response.status_code == 200
    return [name for name in CREDENTIAL_HEADERS if name in response.http_request.headers]


@pytest.mark.parametrize("by", ["environment", "argument"])
def test_an_api_token_is_sufficient(server: Server, script: str, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """A token is sent as a Bearer token and is sufficient."""
    if by == "environment":
        monkeypatch.setenv(TOKEN, server.safe.api_token)
    with Cloudflare() if by == "environment" else Cloudflare(api_token=server.safe.api_token) as client:
        assert sent_by(client, script) == ["authorization"]


@pytest.mark.parametrize("by", ["environment", "argument"])
def test_a_global_api_key_is_sufficient(
    server: Server, script: str, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """Key and e-mail are sent together and are sufficient."""
    safe = server.safe
    if by == "environment":
        monkeypatch.setenv(KEY, safe.api_key)
        monkeypatch.setenv(EMAIL, safe.email)
    with Cloudflare() if by == "environment" else Cloudflare(api_key=safe.api_key, api_email=safe.email) as client:
        assert sent_by(client, script) == ["x-auth-key", "x-auth-email"]


def test_key_and_email_take_precedence_over_a_token(server: Server, script: str) -> None:
    """With all three set the SDK sends only key and e-mail, which are sufficient."""
    safe = server.safe
    with Cloudflare(api_token=safe.api_token, api_key=safe.api_key, api_email=safe.email) as client:
        assert sent_by(client, script) == ["x-auth-key", "x-auth-email"]


def test_an_email_beside_a_token_is_refused(server: Server, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With CLOUDFLARE_EMAIL beside a token the SDK sends only the e-mail; 400 with 9106 names what is missing."""
    monkeypatch.setenv(TOKEN, server.safe.api_token)
    monkeypatch.setenv(EMAIL, server.safe.email)
    with Cloudflare() as client, pytest.raises(BadRequestError) as raised:
        client.workers.scripts.secrets.list(script, account_id=ACCOUNT)

    [error] = raised.value.errors
    sent = raised.value.response.request.headers
    assert (error.code, error.message) == (9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")
    assert [name for name in CREDENTIAL_HEADERS if name in sent] == ["x-auth-email"]


def test_a_header_can_fix_an_email_beside_a_token(server: Server, script: str) -> None:
    """A Bearer token in a default header takes precedence over the e-mail."""
    header = {"Authorization": f"Bearer {server.safe.api_token}"}
    with Cloudflare(api_token="x", api_email=server.safe.email, default_headers=header) as client:
        assert sent_by(client, script) == ["authorization", "x-auth-email"]


def test_a_service_key_is_sufficient(server: Server, script: str) -> None:
    """A service key is sent alone and is sufficient; an unknown one gives 400 with 9103."""
    owner, key = in_store(server.safe, lambda store: store.user_by_email(server.safe.email)), new_service_key()
    assert owner is not None
    write(server.safe, replace(owner, service_key_digest=digest(key)))

    with Cloudflare(user_service_key=key) as client:
        assert sent_by(client, script) == ["x-auth-user-service-key"]
    with Cloudflare(user_service_key="v1.0-service-key") as client, pytest.raises(BadRequestError) as raised:
        client.workers.scripts.secrets.list(script, account_id=ACCOUNT)
    assert [error.code for error in raised.value.errors] == [9103]


def test_without_credentials_the_sdk_sends_nothing(script: str) -> None:
    """Without credentials the SDK sends no request."""
    with Cloudflare() as client, pytest.raises(TypeError, match="authentication"):
        client.workers.scripts.secrets.list(script, account_id=ACCOUNT)


@pytest.mark.parametrize(("token", "code"), [("with space", 6003), ('"quoted"', 6003), ("ends in ==x", 6003)])
def test_a_malformed_token_is_refused(script: str, token: str, code: int) -> None:
    """A malformed token gives 400 with 6003, and 6111 in the error chain."""
    with Cloudflare(api_token=token) as client, pytest.raises(BadRequestError) as raised:
        client.workers.scripts.secrets.list(script, account_id=ACCOUNT)

    [error] = raised.value.errors
    assert error.code == code
    assert error.model_extra is not None
    assert [cause["code"] for cause in error.model_extra["error_chain"]] == [6111]


def test_unknown_credentials_change_nothing(server: Server, wire: Wire, script: str) -> None:
    """An unknown token gives 403 with 10000, an unknown key 400 with 9103; neither changes anything."""
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
