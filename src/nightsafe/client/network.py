"""The network settings of both transports: trusted certificates, proxies, timeouts, decompression."""

import os
import ssl
from importlib.util import find_spec
from typing import Final

import httpcore

from nightsafe.client.messages import Origin
from nightsafe.client.timeouts import Timeout

MAX_CONNECTIONS: Final = 1000
MAX_IDLE: Final = 100
IDLE_SECONDS: Final = 5.0

_PROXIES: Final = frozenset({"http", "https", "socks5", "socks5h"})

BROKEN: Final = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError, httpcore.UnsupportedProtocol)
"""The errors of the HTTP library for a missing answer. It has other errors for timeouts."""


class UnusableProxyError(ConnectionError):
    """The environment names a proxy that cannot be used."""


def trusted_certificates() -> ssl.SSLContext:
    """Return the trusted certificates: those in `SSL_CERT_FILE` or `SSL_CERT_DIR` if set, else Mozilla's."""
    file, directory = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file or directory:
        return ssl.create_default_context(cafile=file or None, capath=directory or None)
    return httpcore.default_ssl_context()


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine."""
    if host == "localhost":
        return True
    if not host.startswith(("127.", "::1")):
        return False
    import ipaddress  # noqa: PLC0415 - seldom needed, and slow to load

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def proxy_for(origin: Origin) -> httpcore.Proxy | None:
    """Return the proxy that the environment names for a server, or None.

    The variables are `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, in upper or lower case. Requests to
    this machine itself never use a proxy, because their plaintext would cross the network.

    Raises:
        UnusableProxyError: when the variable does not contain the URL of a proxy, or the proxy needs a library that
            is not installed.
    """
    if is_loopback(origin.host) or not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - slow to load

    proxies = getproxies()
    url = proxies.get(origin.scheme) or proxies.get("all")
    if not url or proxy_bypass(origin.authority):
        return None
    return _proxy(url if "://" in url else f"http://{url}")


def _proxy(url: str) -> httpcore.Proxy:
    """Return a proxy by its URL, with the user and password in the URL."""
    from urllib.parse import unquote, urlsplit  # noqa: PLC0415 - beside its only use

    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in _PROXIES and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise UnusableProxyError("the proxy in the environment is not a proxy URL: use the form http://host:3128")
    if parts.scheme.startswith("socks") and find_spec("socksio") is None:
        raise UnusableProxyError("the environment names a SOCKS proxy, which needs the package socksio: install it")
    url_without_user = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    if parts.username is None:
        return httpcore.Proxy(url_without_user)
    return httpcore.Proxy(url_without_user, auth=(unquote(parts.username), unquote(parts.password or "")))


def httpcore_timeouts(timeout: Timeout) -> dict[str, float | None]:
    """Return a timeout in the form that the HTTP library accepts."""
    return {"connect": timeout.connect, "read": timeout.read, "write": timeout.write, "pool": timeout.pool}


def decompressed(content: bytes, raw_headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return an answer's body, decompressed.

    Raises:
        ConnectionError: when the body is compressed in a way that was not requested, or damaged.
    """
    for name, coding in raw_headers:
        if name.lower() == b"content-encoding" and coding.lower() != b"identity":
            return _decompress(content, coding.lower())
    return content


def _decompress(content: bytes, coding: bytes) -> bytes:
    """Return the plain bytes of a compressed body."""
    import zlib  # noqa: PLC0415 - seldom needed

    if coding not in {b"gzip", b"x-gzip", b"deflate"}:
        raise ConnectionError("the answer has a Content-Encoding that was not requested")
    try:
        return zlib.decompress(content, zlib.MAX_WBITS | 32)
    except zlib.error:
        raise ConnectionError("the answer cannot be decompressed") from None
