"""Resealing: its progress, its failures, and its pauses."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.proofs import proven_record

from nightsafe.bundle.resealing import NewValue, NewValues, OldValue, OldValues, ResealingResult
from nightsafe.delivery.key_rotation.resealed_value import BatchSealer, reseal_value
from nightsafe.delivery.key_rotation.resealing import Progress, Resealer
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.context import Context
from nightsafe.sealing.record import SealedValue
from nightsafe.sealing.reloading.key_file import ReloadedFile
from nightsafe.sealing.reloading.opener import ReloadingOpener
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.sealer import SigningSealer
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.secret_value import SecretValue

ACCOUNT = "a" * 32
OLD_RING = PrivateRing.generate()
RING = OLD_RING.rotated()
SIGNING_KEY = SigningKey.generate()
SEALER = SigningSealer(OLD_RING.public(), SIGNING_KEY)


@pytest.fixture
def opener(tmp_path: Path) -> ReloadingOpener:
    """Return an opener with the rotated ring."""
    path = tmp_path / "ring.json"
    RING.save(path)
    return ReloadingOpener(VerifyKeys([SIGNING_KEY.verify_key]), ReloadedFile(path, PrivateRing.load))


def put(context: Context) -> bytes:
    """Return the stored record of a value under the old key."""
    return proven_record(SIGNING_KEY, context, SEALER.seal(context, SecretValue(b"planted")))


def value(number: int, record: bytes | None = None) -> OldValue:
    """Return a value under the old key."""
    context = Context(account_id=ACCOUNT, namespace="", script="worker", name=f"S{number}", kind="secret_text")
    return OldValue(
        mark=f"a{number}",
        namespace="",
        script="worker",
        name=f"S{number}",
        sealed_name=f"S{number}",
        kind="secret_text",
        public=b"",
        record=put(context) if record is None else record,
    )


class Source:
    """An API with some values, two in a batch, that fails as told.

    Args:
        values: what there is.
        trouble: raised, in turn, by each request that it is not None for.
    """

    def __init__(self, *values: OldValue, trouble: tuple[NightsafeError | None, ...] = ()) -> None:
        self.values = {old_value.mark: old_value for old_value in values}
        self.trouble = list(trouble)
        self.asked: list[str] = []
        self.stored: list[NewValue] = []
        self.done = asyncio.Event()

    async def old_values(self, after: str) -> OldValues:
        """Return the next two values."""
        self.asked.append(after)
        self._fail()
        found = tuple(old_value for mark, old_value in sorted(self.values.items()) if mark > after)[:2]
        if not found:
            self.done.set()
        waiting = None if after else len(self.values)
        return OldValues(
            primary=RING.public().primary.id, values=found, next=found[-1].mark if found else "", waiting=waiting
        )

    async def store(self, values: NewValues) -> ResealingResult:
        """Take the resealed values."""
        self._fail()
        self.stored += values.values
        for old_value in values.values:
            del self.values[old_value.mark]
        return ResealingResult(resealed=len(values.values), changed=0, refused=0)

    def _fail(self) -> None:
        """Raise the next error, if any."""
        error = self.trouble.pop(0) if self.trouble else None
        if error is not None:
            raise error


def resealer(source: Source, opener: ReloadingOpener) -> Resealer:
    """Return a resealer without pauses."""
    return Resealer(ACCOUNT, source, opener, rest=0, idle_seconds=0)


async def test_a_pass_reports_its_progress(opener: ReloadingOpener) -> None:
    """Progress is reported after each batch and at the end; a value that does not open is logged and skipped."""
    source = Source(*(value(number) for number in range(4)), value(4, b"nothing that opens"))
    told: list[Progress] = []

    with capture_logs() as logs:
        done = await resealer(source, opener).run_once(told.append)

    assert [(5, 2, 0), (5, 4, 0), (5, 4, 1)] == [
        (progress.waiting, progress.resealed, progress.unopened) for progress in told
    ]
    assert told[-1] == done
    assert ["a4"] == list(source.values)
    assert [("resealing.not_opened", "S4"), ("resealing.done", None)] == [
        (event["event"], event.get("name")) for event in logs
    ]
    assert "planted" not in str(logs)


async def test_resealing_continues_after_a_failure(opener: ReloadingOpener) -> None:
    """When the API cannot be reached, resealing starts again later and does the rest."""
    gone = NightsafeError(Code.UNAVAILABLE, "gone")
    source = Source(*(value(number) for number in range(4)), trouble=(gone, None, None, None, gone))

    task = asyncio.create_task(resealer(source, opener).run())
    await source.done.wait()
    task.cancel()

    assert {} == source.values
    assert ["", "", "a1", ""] == source.asked[:4]


async def test_a_refusal_to_reseal_is_logged_with_a_remedy(
    opener: ReloadingOpener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the API does not permit resealing, this is logged at the start and after a rotation, with a remedy."""
    refused = NightsafeError(Code.NOT_PERMITTED, "the token may not")
    source = Source(value(1), trouble=(refused,) * 5)
    pauses: list[float] = []

    async def note(_: Resealer, seconds: float) -> None:
        """Record the pause instead of waiting; rotate in between, and end after some turns."""
        pauses.append(seconds)
        if len(pauses) == 2:
            opener.ring.rotated().save(tmp_path / "ring.json", replace=True)
        if len(pauses) == 4:
            raise asyncio.CancelledError

    monkeypatch.setattr(Resealer, "_idle", note)
    with capture_logs() as logs, pytest.raises(asyncio.CancelledError):
        await resealer(source, opener).run()

    assert (["a1"], [3600.0] * 4) == (list(source.values), pauses)
    assert [("resealing.not_here", "warning")] * 2 == [(event["event"], event["log_level"]) for event in logs]
    assert all("nightsafe keys reseal" in event["reason"] for event in logs)


async def test_values_that_never_open_are_tried_less_often(
    opener: ReloadingOpener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass without progress doubles the next pause, up to an hour; a pass with progress resets it."""
    pauses: list[float] = []
    source = Source(value(1, b"nothing that opens"))

    async def note(_: Resealer, seconds: float) -> None:
        """Record the pause instead of waiting; end after some turns."""
        pauses.append(seconds)
        if len(pauses) == 9:
            source.values["a2"] = value(2)
        if len(pauses) == 10:
            raise asyncio.CancelledError

    monkeypatch.setattr(Resealer, "_idle", note)
    with pytest.raises(asyncio.CancelledError):
        await Resealer(ACCOUNT, source, opener, rest=0).run()

    assert [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0, 3600.0, 30.0] == pauses


async def test_a_rotation_ends_the_wait(tmp_path: Path) -> None:
    """A rotation ends the wait at once."""
    path = tmp_path / "ring.json"
    OLD_RING.save(path)
    opener = ReloadingOpener(VerifyKeys([SIGNING_KEY.verify_key]), ReloadedFile(path, PrivateRing.load))
    source = Source()
    task = asyncio.create_task(Resealer(ACCOUNT, source, opener, idle_seconds=3600).run())
    await source.done.wait()
    source.done.clear()
    source.values["a1"] = value(1)

    RING.save(path, replace=True)
    await asyncio.wait_for(source.done.wait(), 30)
    task.cancel()

    assert {} == source.values


async def test_resealing_pauses_as_long_as_it_works(opener: ReloadingOpener, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each batch the pause is as long as the work was, so that others have half of the time."""
    pauses: list[float] = []
    clock = iter(range(0, 1000, 10))

    async def note(seconds: float) -> None:
        """Record the pause instead of waiting."""
        pauses.extend([seconds] if seconds else [])

    monkeypatch.setattr(asyncio, "sleep", note)
    monkeypatch.setattr("nightsafe.delivery.key_rotation.resealing.time.monotonic", lambda: float(next(clock)))
    await Resealer(ACCOUNT, Source(*map(value, range(4))), opener, rest=2).run_once()

    assert [20.0, 20.0] == pauses


@pytest.fixture
def group_keys(monkeypatch: pytest.MonkeyPatch) -> list[SecretValue]:
    """Return the list of the group keys that are made from now on."""
    keys: list[SecretValue] = []

    def kept(data: bytes) -> SecretValue:
        """Make a key, and keep it for the test."""
        keys.append(SecretValue(data))
        return keys[-1]

    monkeypatch.setattr("nightsafe.sealing.groups.sealer.SecretValue", kept)
    return keys


async def test_the_values_of_a_batch_share_a_group(opener: ReloadingOpener, group_keys: list[SecretValue]) -> None:
    """The values of one batch share an encapsulation; the key of the group is overwritten at the end of the batch."""
    source = Source(*map(value, range(4)))
    group_keys.clear()
    await resealer(source, opener).run_once()

    groups = [SealedValue.parse(new.sealed).group for new in source.stored]
    assert groups[0] == groups[1] != groups[2] == groups[3]
    assert [0, 0] == [len(key) for key in group_keys]


async def test_a_batch_that_fails_leaves_no_key(
    opener: ReloadingOpener, group_keys: list[SecretValue], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When resealing fails in the middle of a batch, the key of the group is overwritten."""
    source = Source(value(0), value(1))
    group_keys.clear()
    left: list[int] = []

    def reseal_one(*arguments: Any) -> NewValue:
        """Reseal the first value, and fail at the second."""
        left.extend(len(key) for key in group_keys)
        if group_keys:
            raise NightsafeError(Code.INVALID, "the ring has changed")
        return reseal_value(*arguments)

    monkeypatch.setattr("nightsafe.delivery.key_rotation.resealing.reseal_value", reseal_one)
    with pytest.raises(NightsafeError, match="has changed"):
        await resealer(source, opener).run_once()

    assert ([32], [0]) == (left, [len(key) for key in group_keys])


def test_another_key_begins_another_group(opener: ReloadingOpener) -> None:
    """A batch that is sealed to two keys has two groups, each under its own key."""
    batch, ids = BatchSealer(), [key.id for key in RING.keys]
    sealed = [SealedValue.parse(reseal_value(ACCOUNT, value(1), key_id, opener, batch).sealed) for key_id in ids]

    assert ids == [one.key_id for one in sealed]
    assert sealed[0].group_id != sealed[1].group_id
