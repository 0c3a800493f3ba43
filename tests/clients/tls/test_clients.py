"""The official client over HTTPS: whom it trusts, and whom the server lets in."""

import socket
import ssl
from pathlib import Path

import httpx
import pytest
from cloudflare import APIConnectionError, Cloudflare
from tests.clients.tls.authority import Authority, Pair
from tests.server import Safe, Server


def serving(safe: Safe, pair: Pair, *options: str) -> Server:
    """A server with a certificate."""
    return Server(safe, "--tls-cert", str(pair.certificate), "--tls-key", str(pair.key), *options)


def trusting(certificate: Path, own: Pair | None = None) -> ssl.SSLContext:
    """What a client checks the server by, and what it shows of itself."""
    context = ssl.create_default_context(cafile=str(certificate))
    if own is not None:
        context.load_cert_chain(own.certificate, own.key)
    return context


def scripts_of(server: Server, context: ssl.SSLContext) -> int:
    """How many scripts the official client is told of."""
    with (
        httpx.Client(verify=context, trust_env=False) as http,
        Cloudflare(
            api_token=server.safe.api_token, base_url=server.base_url, http_client=http, max_retries=0
        ) as client,
    ):
        return len(list(client.workers.scripts.list(account_id=server.safe.account_id)))


def test_https(safe: Safe, authority: Authority, pair: Pair) -> None:
    """The line that is printed says https, and the client that trusts the issuer is answered."""
    with serving(safe, pair) as server:
        assert server.base_url == f"https://127.0.0.1:{server.port}/client/v4"
        assert scripts_of(server, trusting(authority.certificate)) == 0
    assert server.stderr.read_text() == ""


def test_an_issuer_that_the_client_does_not_know(safe: Safe, stranger: Authority, pair: Pair) -> None:
    """The client does not speak to such a server."""
    with serving(safe, pair) as server, pytest.raises(APIConnectionError) as raised:
        scripts_of(server, trusting(stranger.certificate))
    assert "CERTIFICATE_VERIFY_FAILED" in str(raised.value.__cause__)


def test_client_certificates(safe: Safe, authority: Authority, stranger: Authority, pair: Pair) -> None:
    """Only who shows one of the right issuer is answered: not who shows none, nor one of another issuer."""
    good, bad = authority.issue("good"), stranger.issue("bad")
    with serving(safe, pair, "--tls-client-ca", str(authority.certificate)) as server:
        assert scripts_of(server, trusting(authority.certificate, good)) == 0
        for own in (None, bad):
            with pytest.raises(APIConnectionError):
                scripts_of(server, trusting(authority.certificate, own))
        assert scripts_of(server, trusting(authority.certificate, good)) == 0


def test_versions(safe: Safe, authority: Authority, pair: Pair) -> None:
    """It speaks TLS 1.3, and nothing older."""
    with serving(safe, pair) as server:
        context = trusting(authority.certificate)
        with (
            socket.create_connection(("127.0.0.1", server.port), 10) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
        ):
            assert secure.version() == "TLSv1.3"
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with (
            pytest.raises(ssl.SSLError),
            socket.create_connection(("127.0.0.1", server.port), 10) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1"),
        ):
            pass


def test_plain_http_is_not_answered(safe: Safe, pair: Pair) -> None:
    """On a port with TLS no credential is taken in the clear."""
    with serving(safe, pair) as server, pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{server.port}/livez", trust_env=False)
