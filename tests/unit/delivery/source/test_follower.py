"""Following the source: when a script counts as well again, and what is served of one that was put back."""

import asyncio
from pathlib import Path

import pytest
from tests.proofs import stated

from nightsafe.bundle.model import Bundle, BundleModule, BundleVersion
from nightsafe.delivery.cache.bundle_cache import BundleCache, ServedScript
from nightsafe.delivery.cache.module_cache import ModuleCache
from nightsafe.delivery.cache.serials import Serials
from nightsafe.delivery.source.bundle_source import MemorySource
from nightsafe.delivery.source.follower import Follower
from nightsafe.delivery.source.log_check import LogCheck
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys

KEY = SigningKey.generate()


async def test_a_problem_is_over_only_when_workerd_knows_the_new_route(tmp_path: Path) -> None:
    """While the route is on its way, workerd still serves the old version, and the problem says so."""
    source = MemorySource("a", KEY)
    module = BundleModule("m.js", "application/javascript+module", source.store_module(b"export default {}"))
    version = BundleVersion(id="0" * 32, percentage=100.0, created_on="", main_module="m.js", modules=(module,))
    await source.put(stated(Bundle(account_id="a", script="s", serial=0, versions=(version,)), KEY))
    listening, taken = asyncio.Event(), asyncio.Event()

    async def send_route(_: ServedScript) -> None:
        """Fail until workerd listens; then wait until it has taken the route."""
        if not listening.is_set():
            raise NightsafeError(Code.UNAVAILABLE, "workerd did not take it")
        await taken.wait()

    verifier, serials = VerifyKeys([KEY.verify_key]), Serials(tmp_path / "marks.json")
    log_check = LogCheck("a", source, verifier, serials)
    bundle_cache = BundleCache("a", verifier, serials)
    follower = Follower(source, bundle_cache, ModuleCache(source), send_route, log_check)
    follower.problems["s"] = ("the API cannot be reached",)
    with pytest.raises(NightsafeError, match="workerd did not take it"):
        await follower.fetch("s")
    assert {"s"} == follower.problems.keys()

    listening.set()
    fetching = asyncio.create_task(follower.fetch("s"))
    await asyncio.sleep(0)
    assert {"s"} == follower.problems.keys()

    taken.set()
    await fetching
    assert {} == follower.problems


async def test_a_script_that_was_put_back_stays_as_it_is_served(tmp_path: Path) -> None:
    """The served bundle of a script that was put back stays in service, and the refusal is a problem of the script.

    Later changes of other scripts are served. A deployment that is stated later ends the problem.
    """
    source = MemorySource("a", KEY)
    module = BundleModule("m.js", "application/javascript+module", source.store_module(b"export default {}"))
    served = asyncio.Queue[str]()

    def bundle(script: str, size: int) -> Bundle:
        """Return a bundle whose deployment is stated at a size of the log."""
        version = BundleVersion(
            id=f"{size:032}", percentage=100.0, created_on="", main_module="m.js", modules=(module,)
        )
        return stated(Bundle(account_id="a", script=script, serial=0, versions=(version,)), KEY, size)

    async def send_route(route: ServedScript) -> None:
        """Note the served version."""
        await served.put(f"{route.bundle.script} {int(route.loads[0].version.id)}")

    verifier, serials = VerifyKeys([KEY.verify_key]), Serials(tmp_path / "marks.json")
    bundle_cache, log_check = BundleCache("a", verifier, serials), LogCheck("a", source, verifier, serials)
    follower = Follower(source, bundle_cache, ModuleCache(source), send_route, log_check)
    await source.put(bundle("s", 2))
    follower.start()
    try:
        assert "s 2" == await served.get()
        await source.put(bundle("s", 1))
        await source.put(bundle("t", 3))
        assert "t 3" == await served.get()
        await source.wait_until_acknowledged(source.serial)
        before = bundle_cache.get("s")
        assert before is not None
        assert 2 == int(before.loads[0].version.id)
        assert "older deployment of the script" in follower.problems["s"][0]
        await source.put(bundle("s", 4))
        assert "s 4" == await served.get()
        await source.wait_until_acknowledged(source.serial)
        assert {} == follower.problems
    finally:
        await follower.stop()
        await serials.flush()
