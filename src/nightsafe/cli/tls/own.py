"""TLS between the two processes of `nightsafe run`, whose API shows the certificate that this process was given."""

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import structlog

from nightsafe.cli.tls.copies import Copies
from nightsafe.cli.tls.files import tls_of
from nightsafe.errors import NightsafeError

_log = structlog.get_logger()
_END: Final = "-----END CERTIFICATE-----"
_OPTIONS: Final = {"certificate": "tls_cert", "key": "tls_key", "client_ca": "tls_client_ca"}


class OwnTls:
    """The files that options name, copied for the API's process: that may not open what takes their place later.

    Args:
        values: of the options, by name.

    Raises:
        NightsafeError: INVALID, with what is wrong with one of the files.
    """

    def __init__(self, values: dict[str, Any]) -> None:
        self._values: Final = values
        self._copies: Final = Copies()
        self.context: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if values["tls_cert"] else None
        """How to speak to the own API; None without TLS."""
        self.copied: Final[dict[str, Path]] = {}
        """What stands for the options in the API's process."""
        if self.context is not None:
            self.context.check_hostname = False  # it is the same machine, and the certificate the one in the file
            self.context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        self._take()

    @property
    def descriptors(self) -> Iterable[int]:
        """What the API's process must inherit."""
        return self._copies.descriptors

    def renew(self) -> None:
        """Take up the files as they are now; ones that cannot be used change nothing."""
        try:
            self._take()
        except NightsafeError as error:
            _log.error("tls.refused", reason=error.problems[0].detail)

    def close(self) -> None:
        """Forget the copies."""
        self._copies.close()

    def _take(self) -> None:
        """Check the files, copy them, and trust the certificate beside those that were there before."""
        tls = tls_of(*(self._values[option] for option in _OPTIONS.values()))
        if tls is None or self.context is None:
            return
        copied = self._copies.take(tls)
        self.context.load_verify_locations(cadata=_first(copied.certificate.read_text()))
        if self._values["client_cert"]:
            self.context.load_cert_chain(self._values["client_cert"], self._values["client_key"])
        self.copied.update({_OPTIONS[name]: getattr(copied, name) for name in _OPTIONS if getattr(copied, name)})


def _first(pem: str) -> str:
    """The server's own certificate in a file that may also have those of its issuers."""
    return pem[: pem.index(_END) + len(_END)] + "\n"
