"""Options of the commands that deliver, and what they come to."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from nightsafe.cli.server.proxies import networks, trusted_proxy_option

if TYPE_CHECKING:
    from nightsafe.delivery.settings import Settings

FILE = click.Path(dir_okay=False, path_type=Path)
_MEGABYTE = 1 << 20
_MOST_PORT = 65535


class Listen(NamedTuple):
    """Where requests to scripts come in."""

    host: str
    port: int


def _listen(_: click.Context, __: click.Parameter, value: str) -> Listen:
    """HOST:PORT, an IPv6 address in brackets."""
    host, colon, port = value.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > _MOST_PORT:
        raise click.BadParameter("give HOST:PORT, as 127.0.0.1:8788")
    return Listen(host.removeprefix("[").removesuffix("]"), int(port))


def _probes(context: click.Context, parameter: click.Parameter, value: str | None) -> Listen | Path | None:
    """HOST:PORT, or a path, which has a slash."""
    if not value:
        return None
    return Path(value) if "/" in value else _listen(context, parameter, value)


def _domains(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Domains without a dot at either end, in lower case as hosts are compared."""
    domains = tuple(value.strip(".").lower() for value in values)
    if not all(domains):
        raise click.BadParameter("give a domain, as workers.example.com")
    return domains


def option(flag: str, help_text: str, **rest: Any) -> Callable[[Any], Any]:
    """An option with the variable that belongs to it."""
    name = flag.removeprefix("--").replace("-", "_")
    rest.setdefault("default", False if rest.get("is_flag") else None)
    shown = rest["default"] not in {None, False}
    variable = f"NIGHTSAFE_{name.upper()}"
    return click.option(flag, envvar=variable, show_envvar=True, show_default=shown, help=help_text, **rest)


_OPTIONS = (
    option(
        "--listen",
        "Where requests to scripts come in, as HOST:PORT; port 0 takes a free one.",
        default="127.0.0.1:8788",
        metavar="HOST:PORT",
        callback=_listen,
    ),
    option(
        "--domain",
        "What scripts' host names end in: SCRIPT.DOMAIN. May be given several times.",
        multiple=True,
        metavar="DOMAIN",
        default=("localhost",),
        callback=_domains,
    ),
    option(
        "--account-id",
        "Whose scripts.  [default: the oldest account, or the one that the token is for]",
        metavar="HEX32",
    ),
    trusted_proxy_option,
    option("--marks", "File of the highest audit numbers seen.  [default: beside the private ring]", type=FILE),
    option(
        "--sockets",
        "Directory for sockets; a short path.  [default: a new one of this user's]",
        type=click.Path(file_okay=False, path_type=Path),
    ),
    option(
        "--probes",
        "Where to answer GET /livez and /readyz of delivery: HOST:PORT, or the path of a socket.  [default: nowhere]",
        metavar="HOST:PORT|PATH",
        callback=_probes,
    ),
    option("--max-loaded", "Scripts that one process has loaded at once.", type=click.IntRange(min=1), default=1000),
    option(
        "--memory-limit",
        "Megabytes past which the runtime's process is replaced.",
        type=click.IntRange(min=256),
        default=3072,
    ),
    option(
        "--cells",
        "Processes beside the main one, for scripts that might hold others up; 0 for none.",
        type=click.IntRange(0, 6),
        default=2,
    ),
    option(
        "--reach",
        "Network or address that scripts may connect to besides public ones. May be given several times.",
        multiple=True,
        metavar="CIDR",
        callback=networks,
    ),
    option(
        "--reach-never",
        "Network or address that scripts may not connect to, public or not. May be given several times.",
        multiple=True,
        metavar="CIDR",
        callback=networks,
    ),
    option(
        "--reach-private",
        "Let scripts connect to this machine, by each of its addresses, and to private networks.",
        is_flag=True,
    ),
    option("--script-header", "Let a request name its script in the header nightsafe-script.", is_flag=True),
    option("--worker-output", "Show what scripts print. They may print their secrets.", is_flag=True),
)
NAMES = (
    "listen",
    "domain",
    "marks",
    "sockets",
    "max_loaded",
    "memory_limit",
    "cells",
    "reach",
    "reach_never",
    "reach_private",
)
_API = (
    option("--api", "The API's address.", default="http://127.0.0.1:8787/client/v4"),
    option("--api-ca", "PEM file of who issued the API's certificate.  [default: whom the system trusts]", type=FILE),
    option("--client-cert", "PEM file of a certificate to show to the API.", type=FILE),
    option("--client-key", "PEM file of its private key.", type=FILE),
    option(
        "--plain-http",
        "Allow an API on another machine, and a --listen that others reach, without TLS.",
        is_flag=True,
    ),
    option("--token-file", "File of a token with the permission that is needed; mode 0600.", type=FILE),
    option("--token-fd", "Number of an inherited descriptor to read that token from.", type=click.IntRange(min=0)),
)
ring_option = option("--private-ring", "File that opens every value; mode 0600.", type=FILE)
keys_option = option("--verify-keys", "File of the keys that the API signs with.", type=FILE)


def delivery_options(command: Any) -> Any:
    """What both commands take."""
    for add in reversed(_OPTIONS):
        command = add(command)
    return command


def api_options(command: Any) -> Any:
    """How to reach an API elsewhere."""
    for add in reversed(_API):
        command = add(command)
    return command


def check_listen(values: dict[str, Any]) -> None:
    """Refuse a `--listen` that others reach unless something in front does TLS; NightsafeError INVALID."""
    from nightsafe.cli.server.listener import refuse_plain_workers  # noqa: PLC0415 - help needs none

    if not values["plain_http"] and not values["trusted_proxy"]:
        refuse_plain_workers(*values["listen"])


def settings_of(account_id: str, private_ring: Path, values: dict[str, Any]) -> "Settings":
    """What the operator chose.

    Args:
        account_id: whose scripts.
        private_ring: where it is; the marks are beside it unless they are elsewhere.
        values: of the options, by name.

    Raises:
        NightsafeError: UNAVAILABLE, when workerd is not there or not the right one.
    """
    from nightsafe.delivery.settings import Settings  # noqa: PLC0415 - help needs none
    from nightsafe.delivery.workerd.binary import find, verify  # noqa: PLC0415 - the same
    from nightsafe.delivery.workerd.limits import Limits  # noqa: PLC0415 - the same

    serials = values["marks"] or private_ring.with_name("delivery-marks.json")
    binary = find()
    verify(binary)
    return Settings(
        account_id=account_id,
        folder=values["sockets"] or fresh_folder(),
        serials=serials,
        binary=binary,
        domains=values["domain"],
        trusted_proxies=values["trusted_proxy"],
        script_header=values["script_header"],
        worker_output=values["worker_output"],
        reach=values["reach"],
        reach_never=values["reach_never"],
        reach_private=values["reach_private"],
        max_loaded=values["max_loaded"],
        limits=Limits(resident_bytes=values["memory_limit"] * _MEGABYTE, cells=values["cells"]),
    )


def fresh_folder() -> Path:
    """A directory for sockets that nobody can have made before, with a short path."""
    from nightsafe.delivery.workerd.folder import fresh  # noqa: PLC0415 - help needs none

    return fresh(Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()))
