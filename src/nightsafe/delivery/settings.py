"""Settings of the delivery process."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final

from msgspec import Struct

from nightsafe.delivery.source.witnesses import RequiredWitnesses
from nightsafe.delivery.workerd.limits import Limits

_BYTES: Final = 16
_MAPPED: Final = bytes(10) + b"\xff\xff"


class DeliverySettings(Struct, frozen=True, kw_only=True):
    """Settings that an operator can choose.

    Attributes:
        account_id: the account whose scripts are served.
        folder: a directory for sockets, made if missing. Its path must be short.
        serials: path of the marks file, which holds the highest serials seen. The marks of scripts are beside it.
        binary: path of workerd.
        domains: the domains under which scripts have their host names.
        trusted_proxies: networks of proxies whose statements about their clients are believed.
        script_header: whether a request may name its script in the header `nightsafe-script`; for tests.
        worker_output: whether the log records everything that scripts print, throw and call. It may contain secrets.
        reach: networks that scripts may connect to besides public ones.
        reach_never: networks that scripts may not connect to, public or not.
        reach_private: whether scripts may fetch from this machine, at all of its addresses, and from private
            networks; for development.
        approvers: path of the approvers file; None if no version needs an approval.
        max_loaded: the most scripts that one process keeps loaded; the one that was idle longest makes room.
        limits: limits of the runtime's processes.
        witnesses: the witnesses that must cosign the API's log; None for none.
    """

    account_id: str
    folder: Path
    serials: Path
    binary: Path
    domains: tuple[str, ...] = ("localhost",)
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    script_header: bool = False
    worker_output: bool = False
    reach: tuple[IPv4Network | IPv6Network, ...] = ()
    reach_never: tuple[IPv4Network | IPv6Network, ...] = ()
    reach_private: bool = False
    approvers: Path | None = None
    max_loaded: int = 1000
    limits: Limits = Limits()
    witnesses: RequiredWitnesses | None = None


def encode_network(network: IPv4Network | IPv6Network) -> tuple[list[int], int]:
    """Return a network as `dispatcher/front.js` reads it: 16 bytes (IPv4 as IPv4-mapped IPv6) and a prefix length."""
    packed = network.network_address.packed
    mapped = _MAPPED + packed if len(packed) < _BYTES else packed
    return list(mapped), network.prefixlen + 8 * (_BYTES - len(packed))
