"""The required witnesses: how many, which, and for how long without them."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.unit.delivery.tools.changing_log import ACCOUNT
from tests.unit.delivery.tools.witnessed_log import WitnessedLog

from nightsafe.bundle.log_proof import Cosigned, LogProof
from nightsafe.delivery.cache.serials import Serials
from nightsafe.delivery.source.log_check import LogCheck
from nightsafe.delivery.source.witnesses import GRACE_SECONDS, RequiredWitnesses
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys

KEY = SigningKey.generate()


class Clock:
    """A monotonic clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock of the check."""
    made = Clock()
    monkeypatch.setattr("nightsafe.delivery.source.log_check.time", made)
    return made


@pytest.fixture
def source(tmp_path: Path) -> WitnessedLog:
    """Return a log of three entries with three witnesses, which have not been asked."""
    made = WitnessedLog(KEY, tmp_path, 3)
    made.grow("first", 3)
    return made


def check_of(source: WitnessedLog, folder: Path, count: int = 1) -> LogCheck:
    """Return a check that requires witnesses of the log."""
    serials = Serials(folder / "marks.json")
    required = RequiredWitnesses(count, source.keys)
    return LogCheck(ACCOUNT, source, VerifyKeys([KEY.verify_key]), serials, required)


async def test_enough_cosignatures_are_needed(source: WitnessedLog, tmp_path: Path, clock: Clock) -> None:
    """The log is taken once as many witnesses as required have cosigned one checkpoint of it."""
    del clock
    check = check_of(source, tmp_path, count=2)
    for number in range(2):
        with pytest.raises(NightsafeError, match="2 of the required witnesses") as caught:
            await check.check()
        assert Code.UNAVAILABLE is caught.value.code
        assert 200 == await source.ask(number)
    await check.check()

    assert 3 == check.size


async def test_other_witnesses_do_not_count(source: WitnessedLog, tmp_path: Path, clock: Clock) -> None:
    """A cosignature by a key that is not among the given ones does not count."""
    del clock
    serials, verifier = Serials(tmp_path / "marks.json"), VerifyKeys([KEY.verify_key])
    check = LogCheck(ACCOUNT, source, verifier, serials, RequiredWitnesses(1, source.keys[1:]))
    await source.ask(0)
    with pytest.raises(NightsafeError, match="1 of the required witnesses"):
        await check.check()
    await source.ask(1)

    await check.check()


async def test_new_entries_have_a_minute(source: WitnessedLog, tmp_path: Path, clock: Clock) -> None:
    """New entries are taken at once, and refused if no witness has cosigned them a minute later; then taken again."""
    check = check_of(source, tmp_path)
    await source.ask()
    await check.check()
    for _ in range(3):
        source.grow("new", 1)
        clock.now += GRACE_SECONDS / 3
        await check.check()
    source.grow("new", 1)
    clock.now += GRACE_SECONDS / 2
    with pytest.raises(NightsafeError, match="up to entry 3, and nothing newer for more than 60 s") as caught:
        await check.check()
    assert (Code.UNAVAILABLE, -1) == (caught.value.code, check.size)

    await source.ask()
    await check.check()
    assert 7 == check.size


async def test_a_fork_after_the_cosigned_checkpoint_ends(source: WitnessedLog, tmp_path: Path, clock: Clock) -> None:
    """A fork that no witness cosigns is taken for a minute at the most, however it grows."""
    check = check_of(source, tmp_path)
    await source.ask()
    source.grow("honest", 2)
    assert 200 == await source.ask()
    del source.entries[3:]
    source.grow("forked", 4)
    with pytest.raises(NightsafeError, match="does not continue the log that the witnesses have cosigned") as caught:
        await check.check()
    assert Code.INVALID is caught.value.code

    assert 422 == await source.ask()
    source.cosignatures = type(source.cosignatures)()
    clock.now += 1
    with pytest.raises(NightsafeError, match="no checkpoint"):
        await check.check()


async def test_a_cosigned_checkpoint_must_be_of_this_log(
    source: WitnessedLog, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cosigned checkpoint without the log's own signature, or with a wrong proof, is refused."""
    del clock
    check = check_of(source, tmp_path)
    await source.ask()
    source.grow("more", 2)
    real = source.log_proof
    answer = await real(0)
    [good] = answer.cosigned
    text, _, lines = good.note.rpartition(b"\n\n")
    unsigned = text + b"\n\n" + lines.splitlines(keepends=True)[1]
    for cosigned in (Cosigned(unsigned, good.proof), Cosigned(good.note, ()), Cosigned(b"", ())):

        async def forged(_: int, cosigned: Cosigned = cosigned) -> LogProof:
            """Answer with another cosigned checkpoint."""
            return replace(answer, cosigned=(cosigned,))

        monkeypatch.setattr(source, "log_proof", forged)
        with pytest.raises(NightsafeError):
            await check.check()
    monkeypatch.setattr(source, "log_proof", real)

    await check.check()
