"""Our own client over HTTPS: the servers that it trusts, and its client certificate."""

import ssl

import pytest
from tests.clients.tls.authority import Authority, Pair, serving
from tests.server import Safe, Server

from nightsafe.cli.terminal.errors import connection_problem
from nightsafe.client import APIConnectionError, AsyncHttpTransport, AsyncNightsafe, HttpTransport, Nightsafe


def scripts_of(server: Server, context: ssl.SSLContext | None = None) -> int:
    """Return the number of scripts that the client lists."""
    transport = HttpTransport(ssl_context=context)
    with Nightsafe(
        api_token=server.safe.api_token, base_url=server.base_url, http_client=transport, max_retries=0
    ) as client:
        return len(list(client.workers.scripts.list(account_id=server.safe.account_id)))


async def test_our_client_trusts_the_issuer_when_told_to(
    safe: Safe, authority: Authority, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client trusts the issuer with `SSL_CERT_FILE` or an SSL context, and does not by default."""
    context = ssl.create_default_context(cafile=str(authority.certificate))
    with serving(safe, pair) as server:
        assert 0 == scripts_of(server, context)
        with pytest.raises(APIConnectionError) as raised:
            scripts_of(server)
        assert "CERTIFICATE_VERIFY_FAILED" in str(raised.value.__cause__)
        assert "its certificate is not trusted" in connection_problem(raised.value)
        assert "set SSL_CERT_FILE to the CA's file" in connection_problem(raised.value)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
        assert 0 == scripts_of(server)
        async with AsyncNightsafe(
            api_token=safe.api_token, base_url=server.base_url, http_client=AsyncHttpTransport(ssl_context=context)
        ) as client:
            assert safe.email == (await client.user.get()).email


def test_our_client_can_present_a_certificate(safe: Safe, authority: Authority, pair: Pair) -> None:
    """An SSL context can contain a client certificate."""
    own = authority.issue("good")
    context = ssl.create_default_context(cafile=str(authority.certificate))
    with serving(safe, pair, "--tls-client-ca", str(authority.certificate)) as server:
        with pytest.raises(APIConnectionError):
            scripts_of(server, context)
        context.load_cert_chain(own.certificate, own.key)
        assert 0 == scripts_of(server, context)
