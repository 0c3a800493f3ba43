"""Following the source: when a script counts as well again."""

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
