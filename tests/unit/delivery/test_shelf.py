"""Which bundles come in, and what workerd is told of them."""

import time
from pathlib import Path

import msgspec
import pytest

from nightsafe.bundle.model import Bundle, BundleBinding, BundleModule, BundleVersion
from nightsafe.bundle.signed import sign_bundle
from nightsafe.delivery.marks import Marks
from nightsafe.delivery.shelf import NOT_SERVED, REFUSED, Shelf
from nightsafe.errors import NightsafeError
from nightsafe.sealing.signing import SigningKey
from nightsafe.sealing.verifying import VerifyKeys

KEY = SigningKey.generate()
KV = BundleBinding("CACHE", "kv_namespace", msgspec.Raw(b'{"name":"CACHE","type":"kv_namespace"}'))


def version(name: str = "1", share: float = 100, *bindings: BundleBinding) -> BundleVersion:
    """A version with one module."""
    modules = (BundleModule("m.js", "application/javascript+module", b"digest"),)
    return BundleVersion(
        id=name, percentage=share, created_on="", main_module="m.js", modules=modules, bindings=bindings
    )


def bundle(serial: int, *versions: BundleVersion, **members: str) -> Bundle:
    """A bundle of the script `s` of the account `a`."""
    whole = Bundle(account_id="a", script="s", serial=serial, versions=versions)
    return msgspec.structs.replace(whole, **members)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """An empty one, of the account `a`."""
    return Shelf("a", VerifyKeys([KEY.verify_key]), Marks(tmp_path / "marks.json"))


def admit(shelf: Shelf, one: Bundle, floor: int = 0) -> Bundle | None:
    """Sign and admit a bundle asked for as that of `s`."""
    return shelf.admit("s", sign_bundle(one, KEY), floor)


async def test_a_good_bundle_comes_in(shelf: Shelf) -> None:
    """And from then on its serial is the least that counts."""
    assert bundle(5, version()) == admit(shelf, bundle(5, version()))
    assert 5 == shelf.floor()


@pytest.mark.parametrize("members", [{"account_id": "b"}, {"script": "t"}, {"namespace": "n"}])
async def test_a_bundle_of_another_place(shelf: Shelf, members: dict[str, str]) -> None:
    """Is refused, and raises no mark."""
    with pytest.raises(NightsafeError, match="another script"):
        admit(shelf, bundle(5, **members))
    assert 0 == shelf.floor()


async def test_an_older_bundle_is_refused(shelf: Shelf) -> None:
    """When what was seen before it was asked for is newer."""
    admit(shelf, bundle(7))
    with pytest.raises(NightsafeError, match="serial 6, but 7 has been seen"):
        admit(shelf, bundle(6), shelf.floor())


async def test_two_requests_under_way_do_not_hinder_each_other(shelf: Shelf) -> None:
    """An answer that was overtaken is passed over, not refused."""
    floor = shelf.floor()
    newer = admit(shelf, bundle(7, version()), floor)
    assert newer is not None
    shelf.put(newer)

    assert admit(shelf, bundle(6, version("2")), floor) is None


async def test_a_version_of_no_share_is_served_beside_another(shelf: Shelf) -> None:
    """The route tells it by its id, for whoever asks for it."""
    admitted = admit(shelf, bundle(1, version("old"), version("new", 0)))
    assert admitted is not None
    held = shelf.put(admitted)

    assert held is not None
    assert [("old", 100), ("new", 0)] == [(one["id"], one["share"]) for one in held.route()["versions"]]


@pytest.mark.parametrize("share", [0.0, -1.0, 100.5])
async def test_a_percentage_that_is_none(shelf: Shelf, share: float) -> None:
    """Is refused."""
    with pytest.raises(NightsafeError, match="percentage"):
        admit(shelf, bundle(1, version("1", share)))


async def test_numbers_and_epochs(shelf: Shelf) -> None:
    """Only what has changed is told; a number stands for one content and never comes back."""
    first = shelf.put(bundle(1, version("1")))
    same = shelf.put(bundle(2, version("1")))
    split = shelf.put(bundle(3, version("1", 40), version("2", 60)))
    second = shelf.put(bundle(4, version("2")))
    back = shelf.put(bundle(5, version("1")))

    assert same is None
    routes = [held.route() for held in (first, split, second, back) if held]
    assert [1, 2, 3, 4] == [route["epoch"] for route in routes]
    assert [[1], [1, 2], [2], [3]] == [[one["load"] for one in route["versions"]] for route in routes]


async def test_a_load_can_be_had_for_a_moment_longer(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a request which has chosen it is answered; not for ever, and its contents are kept as long."""
    shelf.put(bundle(1, version("1")))
    shelf.put(bundle(2))

    assert shelf.load(1) is not None
    assert {b"digest"} == shelf.digests()
    now = time.monotonic()
    monkeypatch.setattr("nightsafe.delivery.shelf.time.monotonic", lambda: now + 6)
    assert shelf.load(1) is None
    assert set() == shelf.digests()


async def test_only_so_many_superseded_loads_are_kept(shelf: Shelf) -> None:
    """A script that changes all the time does not fill the memory."""
    for serial in range(1, 101):
        shelf.put(bundle(serial, version(str(serial))))

    assert 9 == sum(shelf.load(number) is not None for number in range(1, 101))


async def test_what_is_not_served(shelf: Shelf) -> None:
    """A script without versions is not there; one with a binding that cannot be served is refused whole."""
    gone, refused = shelf.put(bundle(1)), shelf.put(bundle(2, version("1"), version("2", 50, KV)))

    assert gone is not None
    assert refused is not None
    assert (NOT_SERVED, REFUSED) == (gone.refusal, refused.refusal)
    assert [] == refused.route()["versions"]
