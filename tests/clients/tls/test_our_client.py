"""Our own client over HTTPS: whom it trusts, and what it shows of itself."""

import ssl

import pytest
from tests.clients.tls.authority import Authority, Pair
from tests.server import Safe, Server

from nightsafe.cli.terminal.errors import reason_of
from nightsafe.client import APIConnectionError, AsyncHttpTransport, AsyncNightsafe, HttpTransport, Nightsafe


def serving(safe: Safe, pair: Pair, *options: str) -> Server:
    """A server with a certificate."""
    return Server(safe, "--tls-cert", str(pair.certificate), "--tls-key", str(pair.key), *options)


def scripts_of(server: Server, context: ssl.SSLContext | None = None) -> int:
    """How many scripts the client is told of."""
    transport = HttpTransport(ssl_context=context)
    with Nightsafe(
        api_token=server.safe.api_token, base_url=server.base_url, http_client=transport, max_retries=0
    ) as client:
        return len(list(client.workers.scripts.list(account_id=server.safe.account_id)))


async def test_https(safe: Safe, authority: Authority, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever trusts the issuer is answered, by `SSL_CERT_FILE` or a context; by default it is not trusted."""
    context = ssl.create_default_context(cafile=str(authority.certificate))
    with serving(safe, pair) as server:
        assert 0 == scripts_of(server, context)
        with pytest.raises(APIConnectionError) as raised:
            scripts_of(server)
        assert "CERTIFICATE_VERIFY_FAILED" in str(raised.value.__cause__)
        assert "its certificate is not trusted" in reason_of(raised.value)
        assert "set SSL_CERT_FILE to the CA's file" in reason_of(raised.value)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
        assert 0 == scripts_of(server)
        async with AsyncNightsafe(
            api_token=safe.api_token, base_url=server.base_url, http_client=AsyncHttpTransport(ssl_context=context)
        ) as client:
            assert safe.email == (await client.user.get()).email


def test_client_certificates(safe: Safe, authority: Authority, pair: Pair) -> None:
    """A context may hold one."""
    own = authority.issue("good")
    context = ssl.create_default_context(cafile=str(authority.certificate))
    with serving(safe, pair, "--tls-client-ca", str(authority.certificate)) as server:
        with pytest.raises(APIConnectionError):
            scripts_of(server, context)
        context.load_cert_chain(own.certificate, own.key)
        assert 0 == scripts_of(server, context)
