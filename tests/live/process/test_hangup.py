"""SIGHUP to `nightsafe run`, which passes it on to its confined API."""

import os
import signal
import socket
import ssl
from pathlib import Path

from tests.clients.tls.authority import Authority
from tests.live.tools.running import Run, events, until
from tests.server import Safe


def shown(port: int, trust: ssl.SSLContext) -> bytes:
    """Return the certificate that a new connection is shown."""
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        trust.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


def test_run_shows_replaced_certificates_after_sighup(safe: Safe, tmp_path: Path) -> None:
    """Replaced files, which the API may not open, are shown after SIGHUP; no process and no connection ends.

    The delivery process trusts the new certificate; SIGUSR1 and SIGUSR2 change nothing in either process.
    """
    authority = Authority(tmp_path, "authority")
    first, second = authority.issue("first"), authority.issue("second")
    trust = ssl.create_default_context(cafile=str(authority.certificate))
    with Run(safe, "--tls-cert", str(first.certificate), "--tls-key", str(first.key)) as running:
        api, before = running.child("api_child"), shown(running.port, trust)
        after = ssl.PEM_cert_to_DER_cert(second.certificate.read_text())
        second.certificate.rename(first.certificate)
        second.key.rename(first.key)
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
            os.kill(running.pid, number)
        until(lambda: shown(running.port, trust) == after)

        until(lambda: events(running, "tls.renewed"))
        assert before != after
        assert api == running.child("api_child")
        assert [] == events(running, "tls.refused")
        assert [] == events(running, "delivery.problem")
