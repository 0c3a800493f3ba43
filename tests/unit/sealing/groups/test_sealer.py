"""Groups of values: which values share one encapsulation, and when the key of a group is forgotten."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace
from tests.proofs import proven_record

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing import Context
from nightsafe.sealing.groups import sealer as module
from nightsafe.sealing.groups.derivation import value_cipher
from nightsafe.sealing.groups.sealer import GROUP_SECONDS, GROUP_VALUES, GroupSealer
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.padding import MAX_VALUE
from nightsafe.sealing.record import SealedValue
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.secret_value import SecretValue


@dataclass
class Time:
    """A clock that a test moves, and the calls that wait for it."""

    now: float = 100.0
    calls: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def clock(self) -> float:
        """Return the time."""
        return self.now

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Note a call."""
        self.calls.append((seconds, call))


@pytest.fixture
def time() -> Time:
    """Return a clock."""
    return Time()


@pytest.fixture
def grouping(ring: PrivateRing, time: Time) -> GroupSealer:
    """Return a sealer that uses the test's clock."""
    return GroupSealer(ring.public(), time.later, time.clock)


@pytest.fixture
def group_keys(monkeypatch: pytest.MonkeyPatch) -> list[SecretValue]:
    """Return the list of the group keys that are made."""
    keys: list[SecretValue] = []

    def kept(data: bytes) -> SecretValue:
        """Make a key, and keep it for the test."""
        keys.append(SecretValue(data))
        return keys[-1]

    monkeypatch.setattr(module, "SecretValue", kept)
    return keys


def sealed_by(sealer: GroupSealer, context: Context, plain: bytes = b"x") -> SealedValue:
    """Seal a value and return its fields."""
    return SealedValue.parse(sealer.seal(context, SecretValue(plain)))


def new_opener(ring: PrivateRing, signing_key: SigningKey) -> RecordOpener:
    """Return an opener that has opened nothing yet."""
    return RecordOpener(VerifyKeys([signing_key.verify_key]), ring)


def test_values_of_a_group_share_only_the_group(grouping: GroupSealer, context: Context) -> None:
    """Equal values in one place share the group; their ids and ciphertexts differ."""
    values = [sealed_by(grouping, context) for _ in range(20)]

    assert 1 == len({value.group for value in values})
    assert 20 == len({value.value_id for value in values}) == len({value.body for value in values})


def test_each_value_opens_alone(
    ring: PrivateRing, grouping: GroupSealer, signing_key: SigningKey, context: Context
) -> None:
    """Each value of a group opens without the others."""
    plain = [b"value %d" % number for number in range(5)]
    records = [proven_record(signing_key, context, grouping.seal(context, SecretValue(value))) for value in plain]

    for value, record in zip(plain, records, strict=True):
        assert value == new_opener(ring, signing_key).open(context, record).reveal()


def test_a_group_ends_after_its_time(grouping: GroupSealer, time: Time, context: Context) -> None:
    """A group takes values for `GROUP_SECONDS`, also when the event loop is late."""
    first = sealed_by(grouping, context)
    time.now += GROUP_SECONDS * 0.99
    second = sealed_by(grouping, context)
    time.now += GROUP_SECONDS * 0.02
    third = sealed_by(grouping, context)

    assert first.group == second.group
    assert first.group_id != third.group_id


def test_a_group_ends_after_its_number_of_values(grouping: GroupSealer, context: Context) -> None:
    """A group takes `GROUP_VALUES` values."""
    groups = [sealed_by(grouping, context).group for _ in range(GROUP_VALUES + 1)]

    assert 1 == len(set(groups[:-1]))
    assert groups[0] != groups[-1]


def test_the_key_is_forgotten_without_a_further_value(
    grouping: GroupSealer, time: Time, group_keys: list[SecretValue], context: Context
) -> None:
    """The timer overwrites the key after `GROUP_SECONDS`, once for each group."""
    first = sealed_by(grouping, context)
    sealed_by(grouping, context)
    [(seconds, call)] = time.calls
    assert (GROUP_SECONDS, 32) == (seconds, len(group_keys[0]))

    call()

    assert 0 == len(group_keys[0])
    assert first.group_id != sealed_by(grouping, context).group_id


def test_a_late_timer_does_not_end_the_next_group(
    grouping: GroupSealer, time: Time, group_keys: list[SecretValue], context: Context
) -> None:
    """The timer of an earlier group leaves the present group as it is."""
    sealed_by(grouping, context)
    time.now += GROUP_SECONDS
    present = sealed_by(grouping, context)

    time.calls[0][1]()

    assert [0, 32] == [len(key) for key in group_keys]
    assert present.group == sealed_by(grouping, context).group


def test_the_key_is_overwritten_at_each_end(
    grouping: GroupSealer, time: Time, group_keys: list[SecretValue], context: Context
) -> None:
    """The key is overwritten when its group is over by time, by number and by `forget`."""
    sealed_by(grouping, context)
    time.now += GROUP_SECONDS
    for _ in range(GROUP_VALUES + 1):
        sealed_by(grouping, context)
    assert [0, 0, 32] == [len(key) for key in group_keys]

    grouping.forget()
    grouping.forget()

    assert [0, 0, 0] == [len(key) for key in group_keys]


def test_without_a_timer_each_value_is_a_group(
    ring: PrivateRing, group_keys: list[SecretValue], context: Context
) -> None:
    """Without a timer, the key is forgotten after each value, also when the value is refused."""
    sealer = GroupSealer(ring.public())

    assert 2 == len({sealed_by(sealer, context).group_id for _ in range(2)})
    for place_and_value in ((context, bytes(MAX_VALUE + 1)), (replace(context, name="\ud800"), b"x")):
        with pytest.raises(NightsafeError) as refused:
            sealed_by(sealer, *place_and_value)
        assert Code.INVALID is refused.value.code

    assert [0, 0, 0, 0] == [len(key) for key in group_keys]


def test_a_refused_value_does_not_disturb_its_group(
    ring: PrivateRing, grouping: GroupSealer, signing_key: SigningKey, context: Context
) -> None:
    """A value that is too long is refused; the next value joins the same group and opens."""
    first = sealed_by(grouping, context)
    with pytest.raises(NightsafeError, match="at most"):
        grouping.seal(context, SecretValue(bytes(MAX_VALUE + 1)))
    next_value = sealed_by(grouping, context, b"next")

    assert first.group == next_value.group
    record = proven_record(signing_key, context, next_value.pack())
    assert b"next" == new_opener(ring, signing_key).open(context, record).reveal()


async def test_an_event_loop_ends_a_group(ring: PrivateRing, group_keys: list[SecretValue], context: Context) -> None:
    """With the timer of an event loop, the key is overwritten although no further value comes."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def later(seconds: float, call: Callable[[], None]) -> None:
        """Start the loop's timer, and another one behind it that ends the test."""
        loop.call_later(seconds, call)
        loop.call_later(seconds, ended.set)

    sealed_by(GroupSealer(ring.public(), later), context)
    assert [32] == [len(key) for key in group_keys]
    await ended.wait()

    assert [0] == [len(key) for key in group_keys]


def test_a_forgotten_key_seals_nothing(context: Context) -> None:
    """A wiped key is refused, because a key without bytes would be known to everybody."""
    key = SecretValue(bytes(32))
    key.wipe()

    with pytest.raises(ValueError, match="32 bytes"):
        value_cipher(key, context.grouped_info(bytes(16), "00" * 8, bytes(16)))
