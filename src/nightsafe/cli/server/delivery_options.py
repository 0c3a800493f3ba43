"""The options of the commands that deliver, and the settings made of them."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from nightsafe.cli.server.proxies import networks, trusted_proxy_option
from nightsafe.cli.settings.options import FILE, option

if TYPE_CHECKING:
    from nightsafe.delivery.settings import DeliverySettings
    from nightsafe.delivery.source.witnesses import RequiredWitnesses

_MEGABYTE = 1 << 20
_MAX_PORT = 65535


class Listen(NamedTuple):
    """The address that requests to scripts come in at."""

    host: str
    port: int


def _parse_listen(_: click.Context, __: click.Parameter, value: str) -> Listen:
    """Parse HOST:PORT, with an IPv6 address in brackets."""
    host, colon, port = value.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > _MAX_PORT:
        raise click.BadParameter("give HOST:PORT, for example 127.0.0.1:8788")
    return Listen(host.removeprefix("[").removesuffix("]"), int(port))


def _parse_probes(context: click.Context, parameter: click.Parameter, value: str | None) -> Listen | Path | None:
    """Parse HOST:PORT, or a path, which contains a slash."""
    if not value:
        return None
    return Path(value) if "/" in value else _parse_listen(context, parameter, value)


def _parse_domains(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Return domains in lower case and without dots at their ends, for comparison with hosts."""
    domains = tuple(value.strip(".").lower() for value in values)
    if not all(domains):
        raise click.BadParameter("give a domain, for example workers.example.com")
    return domains


marks_option = option("--marks", "File for the highest serials seen.  [default: beside the private ring]", type=FILE)
_OPTIONS = (
    option(
        "--listen",
        "Address for requests to scripts, as HOST:PORT; port 0 takes a free port.",
        default="127.0.0.1:8788",
        metavar="HOST:PORT",
        callback=_parse_listen,
    ),
    option(
        "--domain",
        "Domain of the scripts' host names, SCRIPT.DOMAIN. Repeatable.",
        multiple=True,
        metavar="DOMAIN",
        default=("localhost",),
        callback=_parse_domains,
    ),
    option(
        "--account-id",
        "Account of the scripts.  [default: the oldest account, or the token's account]",
        metavar="HEX32",
    ),
    trusted_proxy_option,
    marks_option,
    option(
        "--require-witness",
        "Number of witnesses that must cosign the API's log; 0 for none.",
        type=click.IntRange(0, 16),
        default=0,
    ),
    option("--witness-keys", "File of the witnesses' verifier keys, for --require-witness.", type=FILE),
    option(
        "--approvers",
        "File of the keys that must approve versions before they are served.  [default: none; no version needs an "
        "approval]",
        type=FILE,
    ),
    option(
        "--sockets",
        "Directory for Unix sockets; its path must be short.  [default: a new private directory]",
        type=click.Path(file_okay=False, path_type=Path),
    ),
    option(
        "--probes",
        "Address that answers GET /livez and /readyz for delivery: HOST:PORT, or a socket's path.  [default: none]",
        metavar="HOST:PORT|PATH",
        callback=_parse_probes,
    ),
    option(
        "--max-loaded",
        "Scripts that one workerd process keeps loaded at once.",
        type=click.IntRange(min=1),
        default=1000,
    ),
    option(
        "--memory-limit",
        "Megabytes of memory above which a workerd process is replaced.",
        type=click.IntRange(min=256),
        default=3072,
    ),
    option(
        "--cells",
        "workerd processes beside the main one, for scripts that might hold others up; 0 for none.",
        type=click.IntRange(0, 6),
        default=2,
    ),
    option(
        "--reach",
        "Network or address that scripts may connect to, besides public ones. Repeatable.",
        multiple=True,
        metavar="CIDR",
        callback=networks,
    ),
    option(
        "--reach-never",
        "Network or address that scripts may not connect to, public or private. Repeatable.",
        multiple=True,
        metavar="CIDR",
        callback=networks,
    ),
    option(
        "--reach-private",
        "Let scripts connect to this machine, at any of its addresses, and to private networks.",
        is_flag=True,
    ),
    option(
        "--script-header", "Accept the header nightsafe-script, in which a request names its script.", is_flag=True
    ),
    option("--worker-output", "Show the output of scripts. Scripts may print their secrets.", is_flag=True),
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
    option(
        "--api-ca", "PEM file of the CA that issued the API's certificate.  [default: the system's CAs]", type=FILE
    ),
    option("--client-cert", "PEM file of a client certificate for the API.", type=FILE),
    option("--client-key", "PEM file of that certificate's private key.", type=FILE),
    option(
        "--plain-http",
        "Allow two things without TLS: an API on another machine, and a --listen that other machines reach.",
        is_flag=True,
    ),
    option("--token-file", "File with a token that has the needed permission; mode 0600.", type=FILE),
    option(
        "--token-fd", "Number of an inherited file descriptor to read that token from.", type=click.IntRange(min=0)
    ),
)
ring_option = option("--private-ring", "File of the private ring, which opens every value; mode 0600.", type=FILE)
keys_option = option("--verify-keys", "File of the keys that verify the API's signatures.", type=FILE)


def delivery_options(command: Any) -> Any:
    """Add the options that `deliver` and `run` share."""
    for add in reversed(_OPTIONS):
        command = add(command)
    return command


def api_options(command: Any) -> Any:
    """Add the options that say how to reach the API."""
    for add in reversed(_API):
        command = add(command)
    return command


def check_listen(values: dict[str, Any]) -> None:
    """Refuse a `--listen` that other machines reach, unless a trusted proxy or `--plain-http` is given.

    Raises:
        NightsafeError: INVALID.
    """
    from nightsafe.cli.server.listener import refuse_plain_workers

    if not values["plain_http"] and not values["trusted_proxy"]:
        refuse_plain_workers(*values["listen"])


def check_approvers(file: Path | None) -> None:
    """Refuse an approvers file that cannot be used, before anything starts.

    Raises:
        NightsafeError: INVALID.
    """
    from nightsafe.bundle.approvals.approvers import Approvers

    if file is not None:
        Approvers.load(file)


def make_settings(account_id: str, private_ring: Path, values: dict[str, Any]) -> "DeliverySettings":
    """Return the delivery settings that the operator chose.

    Args:
        account_id: account of the scripts.
        private_ring: file of the private ring; by default the marks are beside it.
        values: values of the options, by name.

    Raises:
        NightsafeError: UNAVAILABLE, if workerd is missing or is the wrong version.
    """
    from nightsafe.delivery.settings import DeliverySettings
    from nightsafe.delivery.workerd.binary import find_workerd, verify_workerd
    from nightsafe.delivery.workerd.limits import Limits

    serials = values["marks"] or private_ring.with_name("delivery-marks.json")
    witnesses = _required_witnesses(values["require_witness"], values["witness_keys"])
    binary = find_workerd()
    verify_workerd(binary)
    return DeliverySettings(
        account_id=account_id,
        folder=values["sockets"] or new_socket_folder(),
        serials=serials,
        approvers=values["approvers"],
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
        witnesses=witnesses,
    )


def _required_witnesses(count: int, file: Path | None) -> "RequiredWitnesses | None":
    """Return the witnesses that must cosign the log; None if none must.

    Raises:
        NightsafeError: INVALID, if the file has too few keys or cannot be used.
    """
    if not count:
        return None
    from nightsafe.audit.witness.logs import read_keys
    from nightsafe.delivery.source.witnesses import RequiredWitnesses
    from nightsafe.errors import Code, NightsafeError
    from nightsafe.merkle.verifier_key import COSIGNATURE

    if file is None:
        raise click.UsageError("--require-witness needs --witness-keys: a file with the verifier key of each witness")
    keys = read_keys(file, COSIGNATURE)
    if len(keys) < count:
        raise NightsafeError(Code.INVALID, f"--require-witness {count}: {file} has only {len(keys)} keys")
    return RequiredWitnesses(count, tuple(keys))


def new_socket_folder() -> Path:
    """Return a new directory for sockets, with a short path that no other user can have created before."""
    from nightsafe.delivery.workerd.folder import unused_folder

    return unused_folder(Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()))
