"""The official client over HTTPS: the servers that it trusts, and the clients that a server accepts."""

import socket
import ssl
from pathlib import Path

import httpx
import pytest
from cloudflare import APIConnectionError, Cloudflare
from tests.clients.tls.authority import Authority, Pair, serving
from tests.server import Safe, Server


def trusting(certificate: Path, own: Pair | None = None) -> ssl.SSLContext:
    """Return a context that trusts a certificate and presents the client's own."""
    context = ssl.create_default_context(cafile=str(certificate))
    if own is not None:
        context.load_cert_chain(own.certificate, own.key)
    return context


def scripts_of(server: Server, context: ssl.SSLContext) -> int:
    """Return the number of scripts that the official client lists."""
    with (
        httpx.Client(verify=context, trust_env=False) as http,
        Cloudflare(
            api_token=server.safe.api_token, base_url=server.base_url, http_client=http, max_retries=0
        ) as client,
    ):
        return len(list(client.workers.scripts.list(account_id=server.safe.account_id)))


def test_a_client_that_trusts_the_issuer_is_answered(safe: Safe, authority: Authority, pair: Pair) -> None:
    """The server prints an https URL, and a client that trusts the issuer gets an answer."""
    with serving(safe, pair) as server:
        assert server.base_url == f"https://127.0.0.1:{server.port}/client/v4"
        assert scripts_of(server, trusting(authority.certificate)) == 0
    assert server.stderr.read_text() == ""


def test_a_client_refuses_an_unknown_issuer(safe: Safe, stranger: Authority, pair: Pair) -> None:
    """The client refuses the connection."""
    with serving(safe, pair) as server, pytest.raises(APIConnectionError) as raised:
        scripts_of(server, trusting(stranger.certificate))
    assert "CERTIFICATE_VERIFY_FAILED" in str(raised.value.__cause__)


def test_only_client_certificates_of_the_right_issuer_pass(
    safe: Safe, authority: Authority, stranger: Authority, pair: Pair
) -> None:
    """Only a client with a certificate of the right issuer gets an answer."""
    good, bad = authority.issue("good"), stranger.issue("bad")
    with serving(safe, pair, "--tls-client-ca", str(authority.certificate)) as server:
        assert scripts_of(server, trusting(authority.certificate, good)) == 0
        for own in (None, bad):
            with pytest.raises(APIConnectionError):
                scripts_of(server, trusting(authority.certificate, own))
        assert scripts_of(server, trusting(authority.certificate, good)) == 0


def test_only_tls_1_3_is_accepted(safe: Safe, authority: Authority, pair: Pair) -> None:
    """The server accepts TLS 1.3 and nothing older."""
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


def test_plain_http_to_a_tls_port_is_not_answered(safe: Safe, pair: Pair) -> None:
    """A port with TLS does not answer plain HTTP."""
    with serving(safe, pair) as server, pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{server.port}/livez", trust_env=False)
