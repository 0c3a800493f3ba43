"""SIGHUP to `nightsafe run`, which hands it on to its confined API."""

import os
import signal
import socket
import ssl
from pathlib import Path

from tests.clients.tls.authority import Authority
from tests.live.process.test_server_output import until
from tests.live.tools.running import Run, events
from tests.server import Safe


def shown(port: int, trust: ssl.SSLContext) -> bytes:
    """The certificate that a new connection is shown."""
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        trust.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


def test_run_takes_up_certificates_that_took_the_place_of_the_old(safe: Safe, tmp_path: Path) -> None:
    """Files that were replaced whole, which the API may not open, are shown next; nothing ends, the processes stay.

    The delivery side trusts the new one; SIGUSR1 and SIGUSR2 do nothing to either.
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
