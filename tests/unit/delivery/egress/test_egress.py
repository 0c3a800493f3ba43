"""Egress rules: the networks of this machine, and the destinations that scripts are refused."""

import asyncio
import re
import socket
from collections.abc import Callable
from ipaddress import IPv4Address, ip_network
from pathlib import Path

import pytest

from nightsafe.delivery.egress.addresses import Network, address_changes, own_networks
from nightsafe.delivery.egress.egress import FILE, NOT_PUBLIC, Egress, networks_to_refuse
from nightsafe.errors import Code, NightsafeError

TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
Local:
  +-- 0.0.0.0/0 4 1 8
     |-- 12.0.0.0
        /24 host LOCAL
     |-- 11.22.33.44
        /32 host LOCAL
     |-- 11.22.33.255
        /32 link BROADCAST
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.0
           /8 host LOCAL
        |-- 127.0.0.1
           /32 host LOCAL
"""
ROUTES = "".join(
    f"{destination} {length} {'0' * 32} 00 {'0' * 32} 00000400 00000002 00000000 {flags}       lo\n"
    for destination, length, flags in (
        ("26001111000000000000000000000005", "80", "80200001"),
        ("26002222000000000000000000000000", "40", "80000001"),
        ("26003333000000000000000000000000", "80", "00300001"),  # the routers' anycast address
        ("26004444000000000000000000000000", "40", "00000001"),
    )
)
OWN = frozenset(map(ip_network, ("12.0.0.0/24", "11.22.33.44", "127.0.0.0/8"))) | frozenset(
    map(ip_network, ("2600:1111::5", "2600:2222::/64", "2600:3333::"))
)


def nets(*texts: str) -> tuple[Network, ...]:
    """Return the networks in these texts."""
    return tuple(map(ip_network, texts))


def test_own_networks_are_read_from_the_kernel(tmp_path: Path) -> None:
    """Own addresses and local routes are read from the kernel's tables; the IPv6 table may be absent."""
    (tmp_path / "fib_trie").write_text(TRIE)
    assert {network for network in OWN if network.version == 4} == own_networks(tmp_path)

    (tmp_path / "ipv6_route").write_text(ROUTES)
    assert own_networks(tmp_path) == OWN


def test_this_machines_loopback_is_found() -> None:
    """The real tables contain this machine's loopback network."""
    assert ip_network("127.0.0.0/8") in own_networks()


def test_missing_kernel_tables_are_refused(tmp_path: Path) -> None:
    """Without the kernel's tables the start is refused with a remedy, because own addresses would be unknown."""
    with pytest.raises(NightsafeError) as caught:
        own_networks(tmp_path)

    assert caught.value.code is Code.UNAVAILABLE
    assert "fib_trie" in caught.value.problems[0].detail
    assert "--reach-private" in caught.value.problems[0].detail


def holds(address: str, own: frozenset[Network], *reach: str) -> bool:
    """Return whether an address is refused: the narrowest matching rule counts, and a refusal before a permission."""
    [one] = nets(address)
    named = nets(*reach)

    def widths(rules: tuple[Network, ...]) -> list[int]:
        """Return the prefix lengths of the rules that match."""
        return [rule.prefixlen for rule in rules if rule.version == one.version and one.subnet_of(rule)]  # type: ignore[arg-type]

    return max(widths(tuple(networks_to_refuse((*NOT_PUBLIC, *own), named))), default=-1) >= max(
        widths(named), default=0
    )


@pytest.mark.parametrize(
    "address", ["11.22.33.44", "12.0.0.9", "2600:1111::5", "2600:2222::99", "2600:3333::", "::1"]
)
def test_this_machines_addresses_are_refused(address: str) -> None:
    """An address of this machine is refused even in a named network; naming the address itself opens it."""
    around = ("11.0.0.0/8", "12.0.0.0/8", "2600::/16")

    assert holds(address, OWN)
    assert holds(address, OWN, *around)
    assert not holds(address, OWN, *around, address)


@pytest.mark.parametrize("address", ["1.1.1.1", "192.0.1.1", "2606:4700::1", "2001:4860::8888"])
def test_public_addresses_are_not_refused(address: str) -> None:
    """Other public addresses are not refused."""
    assert not holds(address, OWN)


@pytest.mark.parametrize(
    "network",
    ["10.0.0.0/8", "192.168.7.0/24", "169.254.169.254/32", "198.18.0.0/15", "fd00::/8", "fec0::/10", "2001:db8::/32"],
)
def test_a_named_network_is_open(network: str) -> None:
    """A named private network is open; other private networks stay closed."""
    [one] = nets(network)
    address = str(one.network_address)

    assert holds(address, OWN)
    assert not holds(address, OWN, network)
    assert holds("172.16.0.1", OWN, network)


def test_a_named_nat64_leads_to_public_addresses_only() -> None:
    """A named NAT64 prefix leads only to public addresses, not to this machine or private networks."""

    def via_nat64(address: str) -> str:
        """Return an IPv4 address as it is requested from a NAT64 gateway."""
        return f"64:ff9b::{int(IPv4Address(address)) >> 16:x}:{int(IPv4Address(address)) & 0xFFFF:x}"

    assert holds(via_nat64("1.1.1.1"), OWN)
    assert not holds(via_nat64("1.1.1.1"), OWN, "64:ff9b::/96")
    for address in ("11.22.33.44", "12.0.0.9", "127.0.0.1", "10.1.1.1", "169.254.169.254"):
        assert holds(via_nat64(address), OWN, "64:ff9b::/96")


def lookup_of(found: list[frozenset[Network]]) -> Callable[[], frozenset[Network]]:
    """Return a look-up that gives these sets of addresses in turn, and then the last one always."""
    return lambda: found.pop(0) if len(found) > 1 else found[0]


async def test_rules_are_new_only_if_they_refuse_more(tmp_path: Path) -> None:
    """The written rules count as new only if they refuse something that was not refused before."""
    first, more = frozenset(nets("11.22.33.44")), frozenset(nets("11.22.33.44", "25.1.2.3"))
    private = frozenset(nets("11.22.33.44", "25.1.2.3", "172.17.0.1", "fe80::1"))
    reach = Egress(
        tmp_path / "reach", nets("30.0.0.0/8"), find_own_networks=lookup_of([first, first, more, private, first])
    )

    assert [True, False, True, False, False] == [reach.write() for _ in range(5)]
    assert '"30.0.0.0/8"' in (reach.folder / FILE).read_text()
    assert [FILE] == [path.name for path in reach.folder.iterdir()]
    await reach.stop()
    assert not reach.folder.exists()


async def test_a_closed_network_stays_closed(tmp_path: Path) -> None:
    """A closed network stays closed, also if private networks are open or a part of it is named, and by NAT64."""
    closed, named = nets("30.0.0.0/8", "2600::/16"), nets("30.1.2.3", "31.1.2.3")
    for private in (False, True):
        reach = Egress(tmp_path / str(private), named, closed, private=private, find_own_networks=frozenset)
        reach.write()
        allowed, _, denied = (reach.folder / FILE).read_text().partition("deny")

        assert ("30." in allowed, '"31.1.2.3/32"' in allowed) == (False, True)
        assert {'"30.0.0.0/8"', '"2600::/16"'} <= set(re.findall('"[^"]*"', denied))
        await reach.stop()
    assert "64:ff9b::1e00:0/104" in map(str, networks_to_refuse(closed, nets("64:ff9b::/96")))


async def test_an_instance_that_wrote_no_file_removes_none(tmp_path: Path) -> None:
    """An instance that wrote no file removes none, because the file may belong to another process."""
    one, other = (
        Egress(tmp_path / "reach", find_own_networks=frozenset),
        Egress(tmp_path / "reach", find_own_networks=frozenset),
    )
    one.write()
    await other.stop()

    written = tmp_path / "reach" / FILE
    assert written.exists()
    await one.stop()
    assert not written.parent.exists()


async def test_private_networks_can_be_opened(tmp_path: Path) -> None:
    """With private networks open, this machine is open too, with any addresses."""

    def find_own_networks() -> frozenset[Network]:
        """Fail, because it must not be called."""
        raise AssertionError

    reach = Egress(tmp_path / "reach", private=True, find_own_networks=find_own_networks)
    reach.write()
    assert 'allow = ["public", "private"],\n  deny = [],' in (reach.folder / FILE).read_text()
    await reach.stop()


async def test_a_new_address_replaces_the_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runtime is replaced when the kernel reports an address that was not refused before."""
    here, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    here.setblocking(False)
    monkeypatch.setattr("nightsafe.delivery.egress.addresses._open_netlink", lambda: here)
    reach = Egress(tmp_path / "reach", find_own_networks=lookup_of([frozenset(), frozenset(nets("25.1.2.3"))]))
    renewed = asyncio.Event()
    reach.write()
    reach.start(renewed.set)
    kernel.send(b"an address")

    await asyncio.wait_for(renewed.wait(), 60)
    assert '"25.1.2.3/32"' in (reach.folder / FILE).read_text()
    await reach.stop()
    kernel.close()


async def test_changes_are_looked_for_without_the_kernels_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without messages from the kernel, changes are still looked for."""
    monkeypatch.setattr("nightsafe.delivery.egress.addresses._open_netlink", lambda: None)
    monkeypatch.setattr("nightsafe.delivery.egress.addresses._POLL_SECONDS", 0.01)
    news = address_changes()

    async with asyncio.timeout(60):
        await anext(news)
    await news.aclose()
