"""Invalid TLS files and addresses that `serve` refuses: one line on standard error with advice."""

import pytest
from tests.clients.tls.authority import Authority, Pair, encrypt
from tests.server import Safe, Server, run


def refused(safe: Safe, *arguments: str) -> str:
    """Return the message of a server that does not start."""
    done = run("serve", "--data", str(safe.path), "--port", "0", *arguments, cwd=safe.path.parent)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert "PRIVATE KEY" not in line
    return line.removeprefix("nightsafe: ")


def with_pair(safe: Safe, pair: Pair, *arguments: str) -> str:
    """Return the server's message for a certificate and a key."""
    return refused(safe, "--tls-cert", str(pair.certificate), "--tls-key", str(pair.key), *arguments)


def test_a_missing_tls_file_is_named(safe: Safe, pair: Pair) -> None:
    """The message names the missing file."""
    pair.key.unlink()
    assert with_pair(safe, pair) == f"{pair.key}: cannot be read: No such file or directory"
    pair.certificate.unlink()
    assert with_pair(safe, pair) == f"{pair.certificate}: cannot be read: No such file or directory"


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644])
def test_a_tls_key_that_others_can_read_is_refused(safe: Safe, pair: Pair, mode: int) -> None:
    """The message names the command that fixes the mode."""
    pair.key.chmod(mode)

    assert with_pair(safe, pair) == f"{pair.key}: has mode {mode:04o}; run: chmod 0600 {pair.key}"


def test_a_key_of_another_certificate_is_refused(safe: Safe, authority: Authority, pair: Pair) -> None:
    """The message names both files."""
    other = Pair(pair.certificate, authority.issue("other").key)

    assert with_pair(safe, other) == f"{other.key}: it is not the key of the certificate in {pair.certificate}"


def test_a_key_with_a_password_is_refused(safe: Safe, pair: Pair) -> None:
    """The message names the command that decrypts the key."""
    encrypt(pair.key)

    assert with_pair(safe, pair).startswith(f"{pair.key}: it is encrypted; decrypt it with: openssl pkey ")


@pytest.mark.parametrize("content", [b"", b"not PEM", b"\xff", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END"])
def test_a_file_without_a_certificate_is_refused(safe: Safe, pair: Pair, content: bytes) -> None:
    """The message names the file, as the server's certificate or as the client CA."""
    empty = pair.certificate.with_name("empty.pem")
    empty.write_bytes(content)

    expected = f"{empty}: it holds no certificate in PEM form"
    assert with_pair(safe, Pair(empty, pair.key)) == expected
    assert with_pair(safe, pair, "--tls-client-ca", str(empty)) == expected


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_file_without_a_key_is_named_but_not_shown(safe: Safe, pair: Pair, content: bytes) -> None:
    """The message names the file and repeats nothing of its content."""
    pair.key.write_bytes(content)

    assert with_pair(safe, pair).startswith(f"{pair.key}: ")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--tls-cert",), "--tls-cert also needs --tls-key"),
        (("--tls-key",), "--tls-key also needs --tls-cert"),
        (("--tls-client-ca",), "--tls-client-ca also needs --tls-cert and --tls-key"),
        (("--tls-cert", "--tls-client-ca"), "--tls-cert also needs --tls-key"),
    ],
)
def test_incomplete_tls_options_are_refused(safe: Safe, options: tuple[str, ...], words: str) -> None:
    """The message names the missing option, so nothing is served without TLS by mistake."""
    arguments = [part for option in options for part in (option, "file.pem")]

    assert refused(safe, *arguments) == words


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1", "some.example"])  # noqa: S104
def test_plain_http_beyond_loopback_is_refused(safe: Safe, host: str) -> None:
    """Without TLS an address that is not loopback is refused; the message names both ways to allow it."""
    line = refused(safe, "--host", host)

    assert line.startswith(f"{host} can be reached from other machines")
    assert "--tls-cert and --tls-key" in line
    assert "--plain-http" in line


@pytest.mark.parametrize("host", ["127.0.0.2", "::1"])
def test_loopback_is_served_without_tls(safe: Safe, host: str) -> None:
    """Any loopback address is served without TLS."""
    with Server(safe, "--host", host) as server:
        assert server.base_url.startswith("http://")


def test_tls_or_plain_http_allows_other_addresses(safe: Safe, pair: Pair) -> None:
    """With TLS or `--plain-http` the server goes on to listen, here on a foreign address."""
    tls = ("--tls-cert", str(pair.certificate), "--tls-key", str(pair.key))
    for way in (tls, ("--plain-http",)):
        assert refused(safe, "--host", "192.0.2.1", *way).startswith("cannot listen on 192.0.2.1:0: ")


def test_tls_files_can_come_from_the_environment(safe: Safe, pair: Pair) -> None:
    """Environment variables name the TLS files too."""
    environ = {"NIGHTSAFE_TLS_CERT": str(pair.certificate), "NIGHTSAFE_TLS_KEY": str(pair.key)}
    with Server(safe, environ=environ) as server:
        assert server.base_url.startswith("https://")
