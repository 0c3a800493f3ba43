"""The bundle cache: the bundles that it admits, and the routes that workerd gets."""

import time
import uuid
from pathlib import Path

import msgspec
import pytest
from tests.proofs import stated

from nightsafe.bundle.model import Bundle, BundleBinding, BundleModule, BundleVersion
from nightsafe.bundle.signed import sign_bundle
from nightsafe.delivery.cache.bundle_cache import NOT_SERVED, REFUSED, BundleCache
from nightsafe.delivery.cache.serials import Serials
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys

KEY = SigningKey.generate()
KV = BundleBinding("CACHE", "kv_namespace", msgspec.Raw(b'{"name":"CACHE","type":"kv_namespace"}'))


def version_id(name: str) -> str:
    """Return the id of the version with a name."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))


def version(name: str = "1", share: float = 100, *bindings: BundleBinding) -> BundleVersion:
    """Return a version with one module."""
    modules = (BundleModule("m.js", "application/javascript+module", b"digest"),)
    return BundleVersion(
        id=version_id(name), percentage=share, created_on="", main_module="m.js", modules=modules, bindings=bindings
    )


def bundle(serial: int, *versions: BundleVersion, **members: str) -> Bundle:
    """Return a bundle of the script `s` of the account `a`."""
    whole = Bundle(account_id="a", script="s", serial=serial, versions=versions)
    return msgspec.structs.replace(whole, **members)


@pytest.fixture
def bundle_cache(tmp_path: Path) -> BundleCache:
    """Return an empty cache of the account `a`."""
    return BundleCache("a", VerifyKeys([KEY.verify_key]), Serials(tmp_path / "marks.json"))


def admit(bundle_cache: BundleCache, one: Bundle, floor: int = 0) -> Bundle | None:
    """State and sign a bundle, and admit and take it as the answer for `s`; return None if a newer one is there."""
    admitted = bundle_cache.admit("s", sign_bundle(stated(one, KEY), KEY), floor)
    return admitted if bundle_cache.take(admitted) else None


async def test_a_valid_bundle_is_admitted(bundle_cache: BundleCache) -> None:
    """A valid bundle is admitted, and its serial becomes the floor."""
    assert stated(bundle(5, version()), KEY) == admit(bundle_cache, bundle(5, version()))
    assert 5 == bundle_cache.floor()


async def test_a_bundle_that_was_not_stated_is_refused(bundle_cache: BundleCache) -> None:
    """A signed bundle is refused if its parts were not stated by a trusted key, and the floor stays."""
    for one in (bundle(5, version()), stated(bundle(5, version()), SigningKey.generate())):
        with pytest.raises(NightsafeError) as caught:
            bundle_cache.admit("s", sign_bundle(one, KEY), 0)
        assert Code.CANNOT_OPEN is caught.value.code
    assert 0 == bundle_cache.floor()


@pytest.mark.parametrize("members", [{"account_id": "b"}, {"script": "t"}, {"namespace": "n"}])
async def test_a_bundle_of_another_script_is_refused(bundle_cache: BundleCache, members: dict[str, str]) -> None:
    """A bundle of another account, script or namespace is refused, and the floor stays."""
    with pytest.raises(NightsafeError, match="another script"):
        admit(bundle_cache, bundle(5, **members))
    assert 0 == bundle_cache.floor()


async def test_an_older_bundle_is_refused(bundle_cache: BundleCache) -> None:
    """A bundle is refused if a newer one was seen before it was requested."""
    admit(bundle_cache, bundle(7))
    with pytest.raises(NightsafeError, match="serial 6, but 7 has been seen"):
        admit(bundle_cache, bundle(6), bundle_cache.floor())


async def test_an_overtaken_answer_is_ignored(bundle_cache: BundleCache) -> None:
    """An answer that a newer one overtook is ignored, not refused."""
    floor = bundle_cache.floor()
    newer = admit(bundle_cache, bundle(7, version()), floor)
    assert newer is not None
    bundle_cache.put(newer)

    assert admit(bundle_cache, bundle(6, version("2")), floor) is None


async def test_a_version_of_0_percent_is_in_the_route(bundle_cache: BundleCache) -> None:
    """A version with 0 % is in the route by its id, for requests that ask for it."""
    admitted = admit(bundle_cache, bundle(1, version("old"), version("new", 0)))
    assert admitted is not None
    held = bundle_cache.put(admitted)

    assert held is not None
    assert [(version_id("old"), 100), (version_id("new"), 0)] == [
        (route_version["id"], route_version["share"]) for route_version in held.route()["versions"]
    ]


@pytest.mark.parametrize("share", [0.0, -1.0, 100.5])
async def test_an_invalid_percentage_is_refused(bundle_cache: BundleCache, share: float) -> None:
    """A percentage outside the valid range is refused."""
    with pytest.raises(NightsafeError, match="percentage"):
        admit(bundle_cache, bundle(1, version("1", share)))


async def test_only_changes_give_a_new_epoch(bundle_cache: BundleCache) -> None:
    """Only changes give a new epoch; a load number stands for one content and is never reused."""
    first = bundle_cache.put(bundle(1, version("1")))
    same = bundle_cache.put(bundle(2, version("1")))
    split = bundle_cache.put(bundle(3, version("1", 40), version("2", 60)))
    second = bundle_cache.put(bundle(4, version("2")))
    back = bundle_cache.put(bundle(5, version("1")))

    assert same is None
    routes = [held.route() for held in (first, split, second, back) if held]
    assert [1, 2, 3, 4] == [route["epoch"] for route in routes]
    assert [[1], [1, 2], [2], [3]] == [
        [route_version["load"] for route_version in route["versions"]] for route in routes
    ]


async def test_a_superseded_load_is_kept_briefly(bundle_cache: BundleCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """A superseded load and its contents are kept for a few seconds, for requests that chose it."""
    bundle_cache.put(bundle(1, version("1")))
    bundle_cache.put(bundle(2))

    assert bundle_cache.load(1) is not None
    assert {b"digest"} == bundle_cache.digests()
    now = time.monotonic()
    monkeypatch.setattr("nightsafe.delivery.cache.bundle_cache.time.monotonic", lambda: now + 6)
    assert bundle_cache.load(1) is None
    assert set() == bundle_cache.digests()


async def test_the_number_of_superseded_loads_is_limited(bundle_cache: BundleCache) -> None:
    """At most a few superseded loads are kept, so that frequent changes do not fill the memory."""
    for serial in range(1, 101):
        bundle_cache.put(bundle(serial, version(str(serial))))

    assert 9 == sum(bundle_cache.load(number) is not None for number in range(1, 101))


async def test_scripts_that_cannot_be_served_are_marked(bundle_cache: BundleCache) -> None:
    """A script without versions is not served; one with a binding that cannot be served is refused whole."""
    gone, refused = bundle_cache.put(bundle(1)), bundle_cache.put(bundle(2, version("1"), version("2", 50, KV)))

    assert gone is not None
    assert refused is not None
    assert (NOT_SERVED, REFUSED) == (gone.refusal, refused.refusal)
    assert [] == refused.route()["versions"]
