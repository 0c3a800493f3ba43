"""Checks the TLS certificates: the one in the files and the one that the server shows."""

import socket
import ssl
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from nightsafe.cli.data_directory.local_server import address_of
from nightsafe.cli.doctor.examination import Examined, Finding, State
from nightsafe.cli.tls.files import tls_of

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_DAY: Final = 24 * 60 * 60
_SOON_DAYS: Final = 30
_WAIT_SECONDS: Final = 5
_TAKE_UP: Final = (
    "send SIGHUP to the server, which reloads the certificate without ending connections; its log reports a failure"
)
_SPEAK: Final = "restart the server with the certificate"
_RENEW: Final = f"renew it, and {_TAKE_UP}"


def tls(safe: Examined) -> Iterator[Finding]:
    """Check whether the running server uses TLS, and that no certificate has expired.

    The certificate that the server shows counts, because this command may have been given other files or none, and a
    file may have been renewed since the server read it.
    """
    files, address = tls_of(*safe.tls), address_of(safe.data)
    in_file = None if files is None else _first(files.certificate.read_bytes())
    if address is None:
        yield _of_file(in_file)
    elif urlsplit(address).scheme != "https":
        yield _plain(address, in_file)
    else:
        yield from _served(address, in_file)


def _of_file(certificate: "Certificate | None") -> Finding:
    """Return the finding if no server runs."""
    if certificate is None:
        return Finding(State.OK, "TLS", "no server runs, and no certificate is named: give --tls-cert as for serve")
    return _judged(certificate, "in the file")


def _plain(address: str, certificate: "Certificate | None") -> Finding:
    """Return the finding for a server that speaks plain HTTP."""
    if certificate is None:
        return Finding(State.OK, "TLS", f"off: {address} is plain HTTP")
    return Finding(State.FAILED, "TLS", f"{address} is plain HTTP, and a certificate is named here", _SPEAK)


def _served(address: str, in_file: "Certificate | None") -> Iterator[Finding]:
    """Check the certificate that a TLS server shows, and compare it with the one in the file."""
    try:
        shown = _shown_by(address)
    except OSError as error:  # includes ssl.SSLError
        found = f"{address} does not show a certificate: {error.strerror or type(error).__name__}"
        yield Finding(State.FAILED, "TLS", found, "read the server's log")
        return
    yield _judged(shown, "that is served")
    if in_file is not None and in_file != shown:
        yield Finding(State.WARNING, "TLS", "the certificate that is served is not the one in the file", _TAKE_UP)


def _judged(certificate: "Certificate", which: str) -> Finding:
    """Check how long a certificate is valid."""
    left = (certificate.not_valid_after_utc.timestamp() - time.time()) / _DAY
    if certificate.not_valid_before_utc.timestamp() > time.time():
        return Finding(State.FAILED, "TLS", f"the certificate {which} is not valid yet", "is the clock right?")
    if left < 0:
        return Finding(State.FAILED, "TLS", f"the certificate {which} expired {-left:.0f} days ago", _RENEW)
    state, advice = (State.WARNING, _RENEW) if left < _SOON_DAYS else (State.OK, "")
    what = "expires in" if left < _SOON_DAYS else "is valid for"
    return Finding(state, "TLS", f"the certificate {which} {what} {left:.0f} days", advice)


def _shown_by(address: str) -> "Certificate":
    """Fetch the certificate that a server shows, without trusting it."""
    parts = urlsplit(address)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((parts.hostname, parts.port), timeout=_WAIT_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=parts.hostname) as spoken,
    ):
        der = spoken.getpeercert(binary_form=True) or b""
    return _first(der)


def _first(content: bytes) -> "Certificate":
    """Parse the first certificate of PEM, or the one in DER."""
    from cryptography import x509  # noqa: PLC0415 - slow to load and rarely needed

    if content.startswith(b"0"):
        return x509.load_der_x509_certificate(content)
    return x509.load_pem_x509_certificate(content)
