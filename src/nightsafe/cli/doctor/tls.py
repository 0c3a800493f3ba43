"""Checks the TLS certificates: the one in the files and the one that the server shows."""

import socket
import ssl
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from nightsafe.cli.data_directory.local_server import address_of
from nightsafe.cli.doctor.examination import Examination, Finding, State
from nightsafe.cli.tls.files import check_tls_files

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_DAY: Final = 24 * 60 * 60
_SOON_DAYS: Final = 30
_WAIT_SECONDS: Final = 5
_RELOAD_ADVICE: Final = (
    "send SIGHUP to the server, which reloads the certificate without ending connections; its log reports a failure"
)
_RESTART_ADVICE: Final = "restart the server with the certificate"
_RENEW_ADVICE: Final = f"renew it, and {_RELOAD_ADVICE}"


def tls(safe: Examination) -> Iterator[Finding]:
    """Check whether the running server uses TLS, and that no certificate has expired.

    The certificate that the server shows counts, because this command may have been given other files or none, and a
    file may have been renewed since the server read it.
    """
    files, address = check_tls_files(*safe.tls), address_of(safe.data)
    in_file = None if files is None else _parse_first(files.certificate.read_bytes())
    if address is None:
        yield _file_finding(in_file)
    elif urlsplit(address).scheme != "https":
        yield _plain_http_finding(address, in_file)
    else:
        yield from _served_findings(address, in_file)


def _file_finding(certificate: "Certificate | None") -> Finding:
    """Return the finding if no server runs."""
    if certificate is None:
        return Finding(State.OK, "TLS", "no server runs, and no certificate is named: give --tls-cert as for serve")
    return _check_validity(certificate, "in the file")


def _plain_http_finding(address: str, certificate: "Certificate | None") -> Finding:
    """Return the finding for a server that speaks plain HTTP."""
    if certificate is None:
        return Finding(State.OK, "TLS", f"off: {address} is plain HTTP")
    return Finding(State.FAILED, "TLS", f"{address} is plain HTTP, and a certificate is named here", _RESTART_ADVICE)


def _served_findings(address: str, in_file: "Certificate | None") -> Iterator[Finding]:
    """Check the certificate that a TLS server shows, and compare it with the one in the file."""
    try:
        served = _fetch_certificate(address)
    except OSError as error:  # includes ssl.SSLError
        found = f"{address} does not show a certificate: {error.strerror or type(error).__name__}"
        yield Finding(State.FAILED, "TLS", found, "read the server's log")
        return
    yield _check_validity(served, "that is served")
    if in_file is not None and in_file != served:
        yield Finding(
            State.WARNING, "TLS", "the certificate that is served is not the one in the file", _RELOAD_ADVICE
        )


def _check_validity(certificate: "Certificate", description: str) -> Finding:
    """Check how long a certificate is valid."""
    days_left = (certificate.not_valid_after_utc.timestamp() - time.time()) / _DAY
    if certificate.not_valid_before_utc.timestamp() > time.time():
        return Finding(State.FAILED, "TLS", f"the certificate {description} is not valid yet", "is the clock right?")
    if days_left < 0:
        return Finding(
            State.FAILED, "TLS", f"the certificate {description} expired {-days_left:.0f} days ago", _RENEW_ADVICE
        )
    state, advice = (State.WARNING, _RENEW_ADVICE) if days_left < _SOON_DAYS else (State.OK, "")
    phrase = "expires in" if days_left < _SOON_DAYS else "is valid for"
    return Finding(state, "TLS", f"the certificate {description} {phrase} {days_left:.0f} days", advice)


def _fetch_certificate(address: str) -> "Certificate":
    """Fetch the certificate that a server shows, without trusting it."""
    parts = urlsplit(address)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((parts.hostname, parts.port), timeout=_WAIT_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=parts.hostname) as encrypted,
    ):
        der = encrypted.getpeercert(binary_form=True) or b""
    return _parse_first(der)


def _parse_first(content: bytes) -> "Certificate":
    """Parse the first certificate of PEM, or the one in DER."""
    from cryptography import x509  # slow to load and rarely needed

    if content.startswith(b"0"):
        return x509.load_der_x509_certificate(content)
    return x509.load_pem_x509_certificate(content)
