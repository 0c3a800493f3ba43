"""Checks the TLS files before the server starts, because the server's own errors would not name the file."""

import ssl
from pathlib import Path

from msgspec import Struct

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing import files


class TlsFiles(Struct, frozen=True):
    """The TLS files of a server.

    Attributes:
        certificate: PEM file of the server's certificate chain.
        key: PEM file of the certificate's private key.
        client_ca: PEM file of the CAs of client certificates; None if clients need no certificate.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None


def check_tls_files(certificate: Path | None, key: Path | None, client_ca: Path | None) -> TlsFiles | None:
    """Check the named files and that they belong together. Return None if no file is named.

    Raises:
        NightsafeError: INVALID, with the file and its problem.
    """
    if certificate is None and key is None and client_ca is None:
        return None
    if certificate is None or key is None:
        named, missing = ("--tls-cert", "--tls-key") if certificate else ("--tls-key", "--tls-cert")
        named = named if certificate or key else "--tls-client-ca"
        missing = missing if certificate or key else "--tls-cert and --tls-key"
        raise _invalid(f"{named} also needs {missing}")
    _check_pair(certificate, key)
    if client_ca is not None:
        _check_authority(client_ca)
    return TlsFiles(certificate, key, client_ca)


def _check_pair(certificate: Path, key: Path) -> None:
    """Refuse a certificate and a key that cannot be used together."""
    _check_certificates(certificate, files.read(certificate, private=False))
    key_content = files.read(key, private=True)
    if b"PRIVATE KEY-----" not in key_content:
        raise _invalid(f"{key}: it holds no private key in PEM form")
    if b"ENCRYPTED" in key_content:
        raise _invalid(f"{key}: it is encrypted; decrypt it with: openssl pkey -in {key} -out NEW.pem")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        if "MISMATCH" in (error.reason or ""):
            raise _invalid(f"{key}: it is not the key of the certificate in {certificate}") from None
        raise _invalid(f"{key}: it cannot be used with {certificate}") from None


def _check_authority(path: Path) -> None:
    """Refuse a file without certificates."""
    _check_certificates(path, files.read(path, private=False))


def _check_certificates(path: Path, content: bytes) -> None:
    """Refuse content other than certificates in PEM form."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=content.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError, ValueError):
        raise _invalid(f"{path}: it holds no certificate in PEM form") from None


def _invalid(problem: str) -> NightsafeError:
    """Return a refusal to start."""
    return NightsafeError(Code.INVALID, problem)
