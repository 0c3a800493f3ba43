"""TLS: the certificate that is in the files, and the one that the server shows."""

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
_TAKE_UP: Final = "send SIGHUP to the server, which takes it up and ends nothing; its log says when it could not"
_SPEAK: Final = "restart the server with the certificate"
_RENEW: Final = f"renew it, and {_TAKE_UP}"


def tls(safe: Examined) -> Iterator[Finding]:
    """How the server that runs speaks, and that the certificates of the files and of the server have not run out.

    What is served counts: this command may have been told of other files, or of none, and a file may have been
    renewed since the server read it.
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
    """What there is to say where no server runs."""
    if certificate is None:
        return Finding(State.OK, "TLS", "no server runs, and no certificate is named: give --tls-cert as with serve")
    return _judged(certificate, "in the file")


def _plain(address: str, certificate: "Certificate | None") -> Finding:
    """A server that speaks plain HTTP."""
    if certificate is None:
        return Finding(State.OK, "TLS", f"off: {address} is plain HTTP")
    return Finding(State.FAILED, "TLS", f"{address} is plain HTTP, and a certificate is named here", _SPEAK)


def _served(address: str, in_file: "Certificate | None") -> Iterator[Finding]:
    """A server that speaks TLS: what it shows, and whether that is what is in the file."""
    try:
        shown = _shown_by(address)
    except OSError as error:  # that of TLS too
        found = f"{address} does not show a certificate: {error.strerror or type(error).__name__}"
        yield Finding(State.FAILED, "TLS", found, "look into the server's log")
        return
    yield _judged(shown, "that is served")
    if in_file is not None and in_file != shown:
        yield Finding(State.WARNING, "TLS", "the certificate that is served is not the one in the file", _TAKE_UP)


def _judged(certificate: "Certificate", which: str) -> Finding:
    """How long a certificate is good for."""
    left = (certificate.not_valid_after_utc.timestamp() - time.time()) / _DAY
    if certificate.not_valid_before_utc.timestamp() > time.time():
        return Finding(State.FAILED, "TLS", f"the certificate {which} is not valid yet", "is the clock right?")
    if left < 0:
        return Finding(State.FAILED, "TLS", f"the certificate {which} ran out {-left:.0f} days ago", _RENEW)
    state, advice = (State.WARNING, _RENEW) if left < _SOON_DAYS else (State.OK, "")
    what = "runs out in" if left < _SOON_DAYS else "is good for"
    return Finding(state, "TLS", f"the certificate {which} {what} {left:.0f} days", advice)


def _shown_by(address: str) -> "Certificate":
    """The certificate that a server shows; it is looked at, not trusted."""
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
    """The first certificate of a file in PEM, or the one in DER."""
    from cryptography import x509  # noqa: PLC0415 - slow to load, and seldom needed

    if content.startswith(b"0"):
        return x509.load_der_x509_certificate(content)
    return x509.load_pem_x509_certificate(content)
