"""The address of a database: a `postgresql://` URL with one or several hosts. It never shows its password.

The parameters have the names that PostgreSQL's own programs use:
https://www.postgresql.org/docs/current/libpq-connect.html
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import unquote

from nightsafe.errors import Code, NightsafeError

FORM: Final = "postgresql://ROLE@HOST/DATABASE"
_SCHEMES: Final = ("postgresql://", "postgres://")
_PORT: Final = 5432
_MAX_PORT: Final = 65535
_MAX_HOSTS: Final = 16
_APPLICATION: Final = "nightsafe"
_DISABLE, _PREFER, _VERIFY_CA, VERIFY_FULL = "disable", "prefer", "verify-ca", "verify-full"
_MODES: Final = (_DISABLE, _PREFER, "require", _VERIFY_CA, VERIFY_FULL)
_PRIMARY: Final = ("read-write", "primary")
_FILES: Final = ("passfile", "sslrootcert", "sslcert", "sslkey")
_FLAGS: Final = ("allow_unverified", "allow_fsync_off")
_PARAMETERS: Final = (
    *("application_name", "dbname", "host", "password", "port", "sslmode", "target_session_attrs", "user"),
    *_FILES,
    *_FLAGS,
)
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}")
_ADDRESS: Final = re.compile(r"[0-9A-Fa-f:.]{2,45}(%[A-Za-z0-9._-]{1,32})?")
_PARAMETER: Final = re.compile(r"[a-z_]{1,40}")
_SYSTEM: Final = "system"


@dataclass(frozen=True)
class Host:
    """One server: a host name or address, or the directory of a Unix socket, and a port."""

    name: str
    port: int

    @property
    def is_socket(self) -> bool:
        """Whether the server is reached by a Unix socket."""
        return self.name.startswith("/")

    @property
    def is_local(self) -> bool:
        """Whether no connection to this server leaves the machine."""
        return self.is_socket or _is_loopback(self.name)

    def __str__(self) -> str:
        """Return the host and port."""
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


@dataclass(frozen=True)
class Address:
    """The address of a database. `parse` makes one.

    Attributes:
        hosts: the servers; the one that is the primary is used.
        user: the role.
        database: the name of the database.
        password: the role's password; None if it comes from a password file, or if the server wants none.
        sslmode: how a connection is protected, as a name of PostgreSQL's.
        sslrootcert: PEM file of the issuers of the servers' certificates; None for the system's trusted issuers.
        sslcert: PEM file of the client's certificate, or None.
        sslkey: PEM file of that certificate's private key, or None if `sslcert` has it, too.
        passfile: the password file; None for the user's own, `~/.pgpass`.
        application_name: the name that the server shows of each connection.
        target_session_attrs: `read-write`, or `primary` to accept a primary whose sessions are read-only by default.
        allow_fsync_off: accept a server that loses commits in a crash of its machine; only for tests.
        url: the whole URL, for a file that only its owner can read.
    """

    hosts: tuple[Host, ...]
    user: str
    database: str
    password: str | None = field(default=None, repr=False)
    sslmode: str = _PREFER
    sslrootcert: Path | None = None
    sslcert: Path | None = None
    sslkey: Path | None = None
    passfile: Path | None = None
    application_name: str = _APPLICATION
    target_session_attrs: str = _PRIMARY[0]
    allow_fsync_off: bool = False
    url: str = field(default="", repr=False)

    def __str__(self) -> str:
        """Return the address without its password and parameters."""
        return f"postgresql://{self.user}@{','.join(map(str, self.hosts))}/{self.database}"

    __repr__ = __str__

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that a new connection reads."""
        named = (self.sslrootcert, self.sslcert, self.sslkey, self.passfile or self._own_passfile())
        return tuple(path for path in named if path is not None)

    @property
    def ports(self) -> tuple[int, ...]:
        """The TCP ports that a new connection goes to."""
        return tuple(sorted({host.port for host in self.hosts if not host.is_socket}))

    @property
    def has_sockets(self) -> bool:
        """Whether a server is reached by a Unix socket."""
        return any(host.is_socket for host in self.hosts)

    @property
    def has_names(self) -> bool:
        """Whether the name of a host must be looked up."""
        return any(not host.is_socket and not _is_numeric(host.name) for host in self.hosts)

    def _own_passfile(self) -> Path | None:
        """Return the user's own password file, if the password comes from there."""
        try:
            path = Path("~/.pgpass").expanduser()
        except RuntimeError:
            return None
        return path if self.password is None and path.exists() else None


def is_url(text: str) -> bool:
    """Return whether a text has the scheme of a database's URL."""
    return text.startswith(_SCHEMES)


def parse(url: str) -> Address:
    """Parse a URL. The messages of its errors repeat neither the URL nor its password.

    Raises:
        NightsafeError: INVALID, with the reason and what to do.
    """
    if not url.isprintable() or " " in url or not url.isascii():
        _refuse("the URL must be printable ASCII without spaces; write other characters as %XX")
    if not is_url(url):
        _refuse(f"the URL must have the form {FORM}")
    rest = url.partition("://")[2]
    if "#" in rest:
        _refuse("the URL has a character '#'; write it as %23")
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    credentials, _, netloc = authority.rpartition("@")
    if "@" in credentials:
        _refuse("the URL has several characters '@'; write those of the role and the password as %40")
    user, has_password, password = credentials.partition(":")
    if "/" in path:
        _refuse(f"the name of the database has a character '/'; write it as %2F. The form is {FORM}")
    parameters = _parameters(query, shows_names="@" in authority or ":" not in authority)
    _refuse_twice(parameters, user=bool(user), password=bool(has_password), host=bool(netloc), dbname=bool(path))
    hosts = _hosts(netloc) if netloc else _hosts_of_parameters(parameters)
    return _address(
        hosts,
        _decode(user) or parameters.get("user", ""),
        _decode(path) or parameters.get("dbname", ""),
        _decode(password) if has_password else parameters.get("password"),
        parameters,
        url,
    )


def _address(  # noqa: PLR0913, PLR0917 - the parts of an address
    hosts: tuple[Host, ...], user: str, database: str, password: str | None, parameters: dict[str, str], url: str
) -> Address:
    """Check the parts of an address together."""
    if not user:
        _refuse(f"the URL names no role; the form is {FORM}")
    if not database:
        _refuse(f"the URL names no database; the form is {FORM}")
    if password == "":
        _refuse("the URL has an empty password; remove the ':' to take the password from a password file")
    target = parameters.get("target_session_attrs", _PRIMARY[0])
    if target not in _PRIMARY:
        _refuse(f"target_session_attrs must be {' or '.join(_PRIMARY)}: Nightsafe reads and writes at the primary")
    files = {name: _file(name, parameters) for name in _FILES}
    return Address(
        hosts=hosts,
        user=user,
        database=database,
        password=password,
        sslmode=_mode(hosts, parameters),
        application_name=parameters.get("application_name") or _APPLICATION,
        target_session_attrs=target,
        allow_fsync_off=_flag("allow_fsync_off", parameters),
        url=url,
        **files,
    )


def _parameters(query: str, *, shows_names: bool) -> dict[str, str]:
    """Return the parameters by name.

    Args:
        query: the URL after '?'.
        shows_names: whether an error may repeat a name; False if it may be the rest of a password with a '?'.
    """
    parameters: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, equals, value = part.partition("=")
        if not equals or not _PARAMETER.fullmatch(name):
            _refuse(
                "each parameter after '?' must have the form name=value; write '&' and '=' in a value as %26, %3D"
            )
        if name not in _PARAMETERS:
            _refuse(
                f"the parameter {name if shows_names else ''} is not known; known are "
                f"{', '.join(sorted(_PARAMETERS))}. If the '?' belongs to the password, write it as %3F"
            )
        if name in parameters:
            _refuse(f"the parameter {name} is given twice; give it once")
        parameters[name] = _decode(value)
    return parameters


def _refuse_twice(parameters: dict[str, str], **given: bool) -> None:
    """Refuse a parameter that repeats a part of the URL before '?'."""
    if given.pop("host") and ("host" in parameters or "port" in parameters):
        _refuse("the hosts are given twice: before '?' and as parameters; give them once")
    for name, is_given in given.items():
        if is_given and name in parameters:
            _refuse(f"{name} is given twice: before '?' and as a parameter; give it once")


def _hosts(netloc: str) -> tuple[Host, ...]:
    """Return the hosts of `h1:5432,h2,[::1]:5433`."""
    hosts = []
    for item in netloc.split(","):
        match = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(?::([^:]*))?", item)
        if match is None:
            _refuse("a host cannot be read; the form is HOST:PORT, and [ADDRESS]:PORT for an IPv6 address")
        name, port = match.group(1), match.group(2)
        hosts.append(_host(_decode(name.removeprefix("[").removesuffix("]")), port))
    return _checked(hosts)


def _hosts_of_parameters(parameters: dict[str, str]) -> tuple[Host, ...]:
    """Return the hosts of the parameters `host` and `port`, as for Unix sockets."""
    if not parameters.get("host"):
        _refuse(
            f"the URL names no host; the form is {FORM}, and for a Unix socket"
            " postgresql://ROLE@/DATABASE?host=/DIRECTORY"
        )
    names, ports = parameters["host"].split(","), parameters.get("port", str(_PORT)).split(",")
    if len(ports) not in {1, len(names)}:
        _refuse(f"the URL has {len(names)} hosts and {len(ports)} ports; give one port, or one for each host")
    ports = ports * len(names) if len(ports) == 1 else ports
    return _checked([_host(name, port) for name, port in zip(names, ports, strict=True)])


def _host(name: str, port: str | None) -> Host:
    """Check a host and its port; without one it is PostgreSQL's own."""
    if port is not None and not (port.isdigit() and len(port) <= len(str(_MAX_PORT)) and 0 < int(port) <= _MAX_PORT):
        _refuse("a port must be a number from 1 to 65535; if the password has a ':' or '@', write it as %3A or %40")
    is_socket = name.startswith("/") and name.isprintable() and "\0" not in name
    if not (is_socket or _HOST.fullmatch(name) or _is_numeric(name)):
        _refuse("a host must be a name, an address or the absolute path of a socket's directory")
    return Host(name, int(port) if port else _PORT)


def _checked(hosts: list[Host]) -> tuple[Host, ...]:
    """Refuse too many hosts, and the same one twice."""
    if len(hosts) > _MAX_HOSTS:
        _refuse(f"the URL has {len(hosts)} hosts; at most {_MAX_HOSTS} are allowed")
    for host in hosts:
        if hosts.count(host) > 1:
            _refuse(f"the host {host} is given twice; give it once")
    return tuple(hosts)


def _mode(hosts: tuple[Host, ...], parameters: dict[str, str]) -> str:
    """Return how connections are protected. On the way to another machine, the server must prove who it is."""
    remote = next((host for host in hosts if not host.is_local), None)
    has_certificates = any(name in parameters for name in ("sslrootcert", "sslcert", "sslkey"))
    mode = parameters.get("sslmode", VERIFY_FULL if remote or has_certificates else _PREFER)
    if mode not in _MODES:
        _refuse(f"sslmode must be one of {', '.join(_MODES)}")
    is_verified = mode in {VERIFY_FULL, _VERIFY_CA}
    accepts_unverified = _flag("allow_unverified", parameters)
    if remote and not is_verified and not accepts_unverified:
        _refuse(
            f"with sslmode={mode}, anybody between this machine and {remote} could read and change everything; remove"
            " sslmode, and name the issuer of the server's certificate by sslrootcert=FILE, or add"
            " allow_unverified=yes"
        )
    if mode == _VERIFY_CA and parameters.get("sslrootcert", _SYSTEM) == _SYSTEM:
        _refuse(
            "sslmode=verify-ca does not check the server's name, so it needs an issuer of yours: sslrootcert=FILE"
        )
    if has_certificates and not is_verified:
        _refuse(f"certificates have no use with sslmode={mode}; remove sslmode, or the certificates")
    if "sslkey" in parameters and "sslcert" not in parameters:
        _refuse("sslkey is the key of a certificate; name the certificate by sslcert=FILE")
    return mode


def _file(name: str, parameters: dict[str, str]) -> Path | None:
    """Return a parameter that names a file."""
    value = parameters.get(name)
    if value is None or (name == "sslrootcert" and value == _SYSTEM):
        return None
    if not value.startswith("/") or "\0" in value:
        _refuse(f"{name} must be the absolute path of a file, because commands run in different directories")
    return Path(value)


def _flag(name: str, parameters: dict[str, str]) -> bool:
    """Return a parameter that is `yes` or absent."""
    value = parameters.get(name, "")
    if value not in {"", "yes"}:
        _refuse(f"{name} must be yes, or be left out")
    return bool(value)


def _decode(text: str) -> str:
    """Decode %XX."""
    if any(not re.match(r"[0-9A-Fa-f]{2}", text[place + 1 :]) for place in _percents(text)):
        _refuse("a '%' without two hex digits; write the character '%' itself as %25")
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        decoded = "\0"
    if "\0" in decoded:
        _refuse("an escape %XX stands for no UTF-8 text")
    return decoded


def _percents(text: str) -> Iterator[int]:
    """Yield the places of each '%'."""
    return (place for place, character in enumerate(text) if character == "%")


def _is_loopback(name: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_numeric(name: str) -> bool:
    """Return whether a host is an IP address, which needs no look-up."""
    return bool(_ADDRESS.fullmatch(name)) and (":" in name or name.replace(".", "").isdigit())


def _refuse(problem: str) -> NoReturn:
    """Raise the refusal of a URL, without the traceback of what was tried."""
    raise NightsafeError(Code.INVALID, f"the address of the database: {problem}") from None
