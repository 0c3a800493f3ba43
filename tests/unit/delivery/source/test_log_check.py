"""The check of the API's log: only a log that continues the one seen last brings bundles."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.delivery.tools.changing_log import ACCOUNT, ChangingLog

from nightsafe.bundle.log_proof import LogProof
from nightsafe.delivery.cache.bundle_cache import BundleCache, ServedScript
from nightsafe.delivery.cache.module_cache import ModuleCache
from nightsafe.delivery.cache.serials import Serials
from nightsafe.delivery.source.follower import Follower
from nightsafe.delivery.source.log_check import LogCheck
from nightsafe.errors import NightsafeError
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys

KEY = SigningKey.generate()


class Process:
    """The part of a delivery process that takes bundles.

    Args:
        source: the source of bundles.
        path: the marks file.
    """

    def __init__(self, source: ChangingLog, path: Path) -> None:
        verifier = VerifyKeys([KEY.verify_key])
        self.serials = Serials(path)
        self.cache = BundleCache(ACCOUNT, verifier, self.serials)
        self.log_check = LogCheck(ACCOUNT, source, verifier, self.serials)
        self.follower = Follower(source, self.cache, ModuleCache(source), self._send, self.log_check)

    async def _send(self, _: ServedScript) -> None:
        """Take a route as workerd does."""

    async def takes(self, script: str = "s") -> bool:
        """Return whether the process takes the script's current bundle."""
        try:
            await self.follower.fetch(script)
        except NightsafeError:
            return False
        return self.cache.get(script) is not None


@pytest.fixture
def source() -> ChangingLog:
    """Return a source whose log has seven entries."""
    made = ChangingLog(KEY)
    made.grow("first", 7)
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of the marks file."""
    return tmp_path / "marks.json"


async def test_a_log_that_grows_is_taken(source: ChangingLog, path: Path) -> None:
    """A log that only grows is taken at every size, also by a process that starts again."""
    process = Process(source, path)
    for _ in range(5):
        source.grow("more", 3)
        assert await process.takes()
    await process.serials.flush()
    source.grow("more", 1)
    again = Process(source, path)

    assert await again.takes()
    assert 23 == again.log_check.size


def cut(source: ChangingLog) -> None:
    """Remove the last entries."""
    del source.entries[4:]


def fork(source: ChangingLog) -> None:
    """Replace the last entries by as many others."""
    cut(source)
    source.grow("forked", 3)


def empty(source: ChangingLog) -> None:
    """Remove all entries."""
    source.entries.clear()


def exchange(source: ChangingLog) -> None:
    """Give the log another origin."""
    source.origin = "nightsafe/other"


def sign_by_another(source: ChangingLog) -> None:
    """Sign checkpoints by a key that delivery does not trust; bundles keep their signer."""
    real = source.log_proof

    async def log_proof(old: int) -> LogProof:
        """Answer with a checkpoint of another signer."""
        other = ChangingLog(SigningKey.generate())
        other.entries = source.entries
        return LogProof((await other.log_proof(old)).checkpoint, (await real(old)).proof)

    source.log_proof = log_proof  # type: ignore[method-assign]


@pytest.mark.parametrize("attack", [cut, fork, empty, exchange, sign_by_another])
async def test_another_log_is_refused_however_far_it_grows(
    source: ChangingLog, path: Path, attack: Callable[[ChangingLog], None]
) -> None:
    """A log that was cut, forked, emptied or exchanged is refused at every later size, also after a restart.

    The marks keep the last good checkpoint.
    """
    process = Process(source, path)
    assert await process.takes()
    seen = process.serials.log(ACCOUNT)
    attack(source)
    for _ in range(4):
        with pytest.raises(NightsafeError):
            await process.log_check.check()
        assert not await process.takes()
        source.grow("later", 6)
        await process.serials.flush()
        process = Process(source, path)

    assert seen == process.serials.log(ACCOUNT)
    assert 7 == process.serials.get(ACCOUNT)


async def test_the_refusal_says_what_to_run(source: ChangingLog, path: Path) -> None:
    """The refusal of a log names both sizes and the command that accepts a restore."""
    process = Process(source, path)
    await process.log_check.check()
    cut(source)

    with pytest.raises(NightsafeError, match=r"has 4 entries, does not continue the log of 7 .*accept-restore"):
        await process.log_check.check()


async def test_a_served_script_outlasts_a_refused_log(source: ChangingLog, path: Path) -> None:
    """After a refused log, a served script stays, and no other script is taken until the log is right again."""
    process = Process(source, path)
    assert await process.takes("served")
    before, good = process.cache.get("served"), list(source.entries)
    fork(source)
    with pytest.raises(NightsafeError):
        await process.log_check.check()

    with pytest.raises(NightsafeError, match="does not continue"):
        await process.follower.fetch("served")
    assert not await process.takes("first asked for now")
    assert before is process.cache.get("served")
    source.entries = good
    assert await process.takes("first asked for now")


async def test_no_bundle_is_taken_before_the_log_was_checked(source: ChangingLog, path: Path) -> None:
    """A bundle that a request asks for first is not taken while the checkpoint cannot be fetched."""
    process = Process(source, path)
    source.is_silent = True
    assert not await process.takes()
    assert (0, None) == (process.serials.get(ACCOUNT), process.serials.log(ACCOUNT))

    source.is_silent = False
    assert await process.takes()


async def test_a_serial_beyond_the_log_is_refused(source: ChangingLog, path: Path) -> None:
    """A bundle with a higher serial than the log has entries is refused, and does not raise the floor."""
    process = Process(source, path)
    source.bundle_serial = 1_000_000
    with pytest.raises(NightsafeError, match="serial 1000000, but the API's log has only 7 entries"):
        await process.follower.fetch("s")

    source.bundle_serial = None
    assert await process.takes()
    assert 7 == process.serials.get(ACCOUNT)


async def test_an_earlier_check_does_not_count(source: ChangingLog, path: Path) -> None:
    """A fork that is exactly as long as the log that was checked brings no bundle, although its serial is known."""
    process = Process(source, path)
    await process.log_check.check()
    fork(source)

    with pytest.raises(NightsafeError, match="does not continue"):
        await process.follower.fetch("s")


async def test_bundles_share_checks(source: ChangingLog, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many bundles that arrive together need two checks at the most."""
    process, asked = Process(source, path), []
    real = source.log_proof

    async def counted(old: int) -> LogProof:
        """Count the requests."""
        asked.append(old)
        await asyncio.sleep(0)
        return await real(old)

    monkeypatch.setattr(source, "log_proof", counted)
    await asyncio.gather(*(process.follower.fetch(f"s{number}") for number in range(50)))

    assert 1 <= len(asked) <= 2


async def test_a_slow_answer_does_not_put_the_checkpoint_back(source: ChangingLog, path: Path) -> None:
    """Of two checks at once, the slower one does not replace the newer checkpoint by its own."""
    process = Process(source, path)
    await process.log_check.check()
    real, held = source.log_proof, asyncio.Event()

    async def slow(old: int) -> LogProof:
        """Answer late with an early state."""
        answer = await real(old)
        await held.wait()
        return answer

    source.log_proof = slow  # type: ignore[method-assign]
    first = asyncio.create_task(process.log_check.check())
    await asyncio.sleep(0)
    source.grow("more", 5)
    second = asyncio.create_task(process.log_check.check())
    held.set()
    await asyncio.gather(first, second)

    seen = process.serials.log(ACCOUNT)
    assert seen is not None
    assert (12, 12) == (seen.size, process.log_check.size)


async def test_a_replaced_mark_is_written_at_once(source: ChangingLog, path: Path) -> None:
    """A replaced serial and checkpoint are in the file when the call returns, also if they are lower."""
    process = Process(source, path)
    assert await process.takes()
    await process.serials.flush()
    cut(source)
    head = source.checkpoint()
    seen = process.serials.log(ACCOUNT)
    assert seen is not None
    process.serials.replace(ACCOUNT, 4, type(seen)(head.origin, head.size, head.root))

    assert await Process(source, path).takes()
