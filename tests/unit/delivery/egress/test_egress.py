"""What leads to this machine, and what is refused for it."""

import asyncio
import re
import socket
from collections.abc import Callable
from ipaddress import IPv4Address, ip_network
from pathlib import Path

import pytest

from nightsafe.delivery.egress.addresses import Network, changes, own_networks
from nightsafe.delivery.egress.egress import FILE, NOT_PUBLIC, Egress, refused
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
    """Networks as they are written."""
    return tuple(map(ip_network, texts))


def test_what_the_kernel_tells(tmp_path: Path) -> None:
    """Addresses and local routes are read from its tables, with their lengths; without IPv6 there are none of it."""
    (tmp_path / "fib_trie").write_text(TRIE)
    assert {one for one in OWN if one.version == 4} == own_networks(tmp_path)

    (tmp_path / "ipv6_route").write_text(ROUTES)
    assert own_networks(tmp_path) == OWN


def test_this_machine() -> None:
    """Its loopback addresses are found where it keeps them."""
    assert ip_network("127.0.0.0/8") in own_networks()


def test_where_the_kernel_tells_nothing(tmp_path: Path) -> None:
    """Is refused, with what to do: what is not known cannot be refused to scripts."""
    with pytest.raises(NightsafeError) as caught:
        own_networks(tmp_path)

    assert caught.value.code is Code.UNAVAILABLE
    assert "fib_trie" in caught.value.problems[0].detail
    assert "--reach-private" in caught.value.problems[0].detail


def holds(address: str, own: frozenset[Network], *reach: str) -> bool:
    """Whether an address is refused: of the rules that fit, the narrowest, and a refusal before a permission."""
    [one] = nets(address)
    named = nets(*reach)

    def widths(rules: tuple[Network, ...]) -> list[int]:
        """How narrow those rules are that fit."""
        return [rule.prefixlen for rule in rules if rule.version == one.version and one.subnet_of(rule)]  # type: ignore[arg-type]

    return max(widths(tuple(refused((*NOT_PUBLIC, *own), named))), default=-1) >= max(widths(named), default=0)


@pytest.mark.parametrize(
    "address", ["11.22.33.44", "12.0.0.9", "2600:1111::5", "2600:2222::99", "2600:3333::", "::1"]
)
def test_addresses_of_this_machine(address: str) -> None:
    """Are refused, also when a network around them is named; naming the very address opens it."""
    around = ("11.0.0.0/8", "12.0.0.0/8", "2600::/16")

    assert holds(address, OWN)
    assert holds(address, OWN, *around)
    assert not holds(address, OWN, *around, address)


@pytest.mark.parametrize("address", ["1.1.1.1", "192.0.1.1", "2606:4700::1", "2001:4860::8888"])
def test_others(address: str) -> None:
    """Are not."""
    assert not holds(address, OWN)


@pytest.mark.parametrize(
    "network",
    ["10.0.0.0/8", "192.168.7.0/24", "169.254.169.254/32", "198.18.0.0/15", "fd00::/8", "fec0::/10", "2001:db8::/32"],
)
def test_a_network_that_is_named(network: str) -> None:
    """Is open, though it is refused else; the others are as they were."""
    [one] = nets(network)
    address = str(one.network_address)

    assert holds(address, OWN)
    assert not holds(address, OWN, network)
    assert holds("172.16.0.1", OWN, network)


def test_nat64_that_is_named() -> None:
    """Leads to public addresses only: not to this machine, nor to private ones."""

    def through(address: str) -> str:
        """The address as a NAT64 gateway is asked for it."""
        return f"64:ff9b::{int(IPv4Address(address)) >> 16:x}:{int(IPv4Address(address)) & 0xFFFF:x}"

    assert holds(through("1.1.1.1"), OWN)
    assert not holds(through("1.1.1.1"), OWN, "64:ff9b::/96")
    for address in ("11.22.33.44", "12.0.0.9", "127.0.0.1", "10.1.1.1", "169.254.169.254"):
        assert holds(through(address), OWN, "64:ff9b::/96")


def looking(found: list[frozenset[Network]]) -> Callable[[], frozenset[Network]]:
    """A machine that has these addresses, one set after the other, and then the last for ever."""
    return lambda: found.pop(0) if len(found) > 1 else found[0]


async def test_what_is_written_down(tmp_path: Path) -> None:
    """Is said to be new only when something is refused that was not before."""
    first, more = frozenset(nets("11.22.33.44")), frozenset(nets("11.22.33.44", "25.1.2.3"))
    private = frozenset(nets("11.22.33.44", "25.1.2.3", "172.17.0.1", "fe80::1"))
    reach = Egress(tmp_path / "reach", nets("30.0.0.0/8"), look=looking([first, first, more, private, first]))

    assert [True, False, True, False, False] == [reach.write() for _ in range(5)]
    assert '"30.0.0.0/8"' in (reach.folder / FILE).read_text()
    assert [FILE] == [path.name for path in reach.folder.iterdir()]
    await reach.stop()
    assert not reach.folder.exists()


async def test_what_is_closed(tmp_path: Path) -> None:
    """Stays closed, also where private networks are open or a part of it was named; by NAT64 as well."""
    closed, named = nets("30.0.0.0/8", "2600::/16"), nets("30.1.2.3", "31.1.2.3")
    for private in (False, True):
        reach = Egress(tmp_path / str(private), named, closed, private=private, look=frozenset)
        reach.write()
        allowed, _, denied = (reach.folder / FILE).read_text().partition("deny")

        assert ("30." in allowed, '"31.1.2.3/32"' in allowed) == (False, True)
        assert {'"30.0.0.0/8"', '"2600::/16"'} <= set(re.findall('"[^"]*"', denied))
        await reach.stop()
    assert "64:ff9b::1e00:0/104" in map(str, refused(closed, nets("64:ff9b::/96")))


async def test_one_that_has_written_nothing(tmp_path: Path) -> None:
    """Removes nothing: the file may be that of a process that has the directory."""
    one, other = Egress(tmp_path / "reach", look=frozenset), Egress(tmp_path / "reach", look=frozenset)
    one.write()
    await other.stop()

    written = tmp_path / "reach" / FILE
    assert written.exists()
    await one.stop()
    assert not written.parent.exists()


async def test_private_networks(tmp_path: Path) -> None:
    """Are open where the operator has said so, and this machine with them, whatever its addresses are."""

    def look() -> frozenset[Network]:
        """Nobody asks."""
        raise AssertionError

    reach = Egress(tmp_path / "reach", private=True, look=look)
    reach.write()
    assert 'allow = ["public", "private"],\n  deny = [],' in (reach.folder / FILE).read_text()
    await reach.stop()


async def test_a_change_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runtime is replaced when the kernel tells of an address that was not refused before."""
    here, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    here.setblocking(False)
    monkeypatch.setattr("nightsafe.delivery.egress.addresses._kernel", lambda: here)
    reach = Egress(tmp_path / "reach", look=looking([frozenset(), frozenset(nets("25.1.2.3"))]))
    renewed = asyncio.Event()
    reach.write()
    reach.start(renewed.set)
    kernel.send(b"an address")

    await asyncio.wait_for(renewed.wait(), 60)
    assert '"25.1.2.3/32"' in (reach.folder / FILE).read_text()
    await reach.stop()
    kernel.close()


async def test_without_a_word_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked for a change all the same."""
    monkeypatch.setattr("nightsafe.delivery.egress.addresses._kernel", lambda: None)
    monkeypatch.setattr("nightsafe.delivery.egress.addresses._LOOK_SECONDS", 0.01)
    news = changes()

    async with asyncio.timeout(60):
        await anext(news)
    await news.aclose()
