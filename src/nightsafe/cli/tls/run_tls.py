"""TLS between the two processes of `nightsafe run`. This process trusts the certificate file that the API uses."""

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import structlog

from nightsafe.cli.tls.copies import TlsCopies
from nightsafe.cli.tls.files import check_tls_files
from nightsafe.errors import NightsafeError

_log = structlog.get_logger()
_END: Final = "-----END CERTIFICATE-----"
_OPTIONS: Final = {"certificate": "tls_cert", "key": "tls_key", "client_ca": "tls_client_ca"}


class ApiTlsFiles:
    """Copies of the TLS files for the API's process, which may not open renewed files itself.

    Args:
        values: values of the options, by name.

    Raises:
        NightsafeError: INVALID, with the problem of a file.
    """

    def __init__(self, values: dict[str, Any]) -> None:
        self._values: Final = values
        self._copies: Final = TlsCopies()
        self.context: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if values["tls_cert"] else None
        """The TLS context for this process's own API; None for plain HTTP."""
        self.copied_options: Final[dict[str, Path]] = {}
        """The options for the API's process, with the paths of the copies."""
        if self.context is not None:
            self.context.check_hostname = False  # the API is on this machine and shows the certificate of the file
            self.context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        self._copy_files()

    @property
    def descriptors(self) -> Iterable[int]:
        """The descriptors that the API's process must inherit."""
        return self._copies.descriptors

    def renew(self) -> None:
        """Reload the files. Files that cannot be used change nothing."""
        try:
            self._copy_files()
        except NightsafeError as error:
            _log.error("tls.refused", reason=error.problems[0].detail)

    def close(self) -> None:
        """Close the copies."""
        self._copies.close()

    def _copy_files(self) -> None:
        """Check and copy the files, and trust the certificate in addition to earlier ones."""
        tls = check_tls_files(*(self._values[option] for option in _OPTIONS.values()))
        if tls is None or self.context is None:
            return
        copied_options = self._copies.copy(tls)
        self.context.load_verify_locations(cadata=_first(copied_options.certificate.read_text()))
        if self._values["client_cert"]:
            self.context.load_cert_chain(self._values["client_cert"], self._values["client_key"])
        self.copied_options.update(
            {_OPTIONS[name]: getattr(copied_options, name) for name in _OPTIONS if getattr(copied_options, name)}
        )


def _first(pem: str) -> str:
    """Return the first certificate of a chain, which is the server's own."""
    return pem[: pem.index(_END) + len(_END)] + "\n"
