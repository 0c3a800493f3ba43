"""Values pass through the safe and are wiped there, whatever happens."""

import asyncio

import pytest

from nightsafe.bindings.model import Secret, SecretKey, SecretText
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.context import Context
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.private_ring import PrivateRing
from nightsafe.sealing.record import key_id_of
from nightsafe.sealing.sealer import SigningSealer
from nightsafe.sealing.signing import SigningKey
from nightsafe.sealing.verifying import VerifyKeys
from nightsafe.secret_value import SecretValue
from nightsafe.store.model import ScriptRef
from nightsafe.workers.seal import Safe

REF = ScriptRef("a" * 32, "worker", "namespace")
PLANTED = b"planted-value"


def text(name: str = "A") -> SecretText:
    """A secret text."""
    return SecretText(name, SecretValue(PLANTED))


def key(name: str = "K") -> SecretKey:
    """A secret key."""
    return SecretKey(name, {"name": "HMAC", "hash": "SHA-256"}, "raw", ("sign",), SecretValue(PLANTED))


class Failing:
    """A sealer that fails with this error."""

    def __init__(self, error: BaseException, after: int = 0) -> None:
        self.error = error
        self.left = after

    def seal(self, context: Context, value: SecretValue) -> bytes:
        """Fail, after so many that pass."""
        assert context.script == REF.name
        assert value.reveal() == PLANTED
        self.left -= 1
        if self.left < 0:
            raise self.error
        return SEALER.seal(context, value)


RING, SIGNING_KEY = PrivateRing.generate(), SigningKey.generate()
SEALER = SigningSealer(RING.public(), SIGNING_KEY)


@pytest.mark.parametrize("make", [text, key])
def test_what_is_sealed_opens_in_its_place_alone(make: object) -> None:
    """The context is the script's place with the binding's name, kind and public metadata; the value is gone here."""
    secret = make()  # type: ignore[operator]
    public = secret.public()
    binding = Safe(SEALER).seal(REF, secret)
    opener = RecordOpener(VerifyKeys([SIGNING_KEY.verify_key]), RING)
    place = {
        "account_id": REF.account_id,
        "namespace": REF.namespace,
        "script": REF.name,
        "name": secret.name,
        "kind": secret.kind,
        "public": public,
    }

    assert binding.sealed is not None
    assert PLANTED == opener.open(Context(**place), binding.sealed).reveal()
    for member in place:
        other = place | {member: b"other" if member == "public" else "other"}
        with pytest.raises(NightsafeError) as refused:
            opener.open(Context(**other), binding.sealed)
        assert refused.value.code == Code.CANNOT_OPEN
    assert (len(secret.value), secret.shown(), secret.kind) == (0, binding.shown, binding.kind)
    assert PLANTED not in binding.sealed + binding.shown
    assert key_id_of(binding.sealed) == binding.key_id


@pytest.mark.parametrize(
    "error", [NightsafeError(Code.INVALID, "no"), RuntimeError("no"), KeyboardInterrupt(), MemoryError()], ids=repr
)
def test_a_value_is_wiped_though_sealing_fails(error: BaseException) -> None:
    """The error comes through, the value does not stay."""
    secret = text()
    with pytest.raises(type(error)):
        Safe(Failing(error)).seal(REF, secret)

    assert len(secret.value) == 0


async def test_every_value_is_wiped_though_one_fails() -> None:
    """Those that were sealed, the one that failed, and those whose turn did not come."""
    secrets: list[Secret] = [text("A"), key("B"), text("C"), text("D")]
    with pytest.raises(RuntimeError):
        await Safe(Failing(RuntimeError("no"), after=2)).seal_all(REF, secrets)

    assert [0, 0, 0, 0] == [len(secret.value) for secret in secrets]


async def test_every_value_is_wiped_though_the_caller_goes() -> None:
    """A request that is cancelled between two seals leaves none behind."""
    secrets = [text("A"), text("B"), text("C")]
    work = asyncio.ensure_future(Safe(SEALER).seal_all(REF, secrets))
    await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work

    assert [0, 0, 0] == [len(secret.value) for secret in secrets]


async def test_several_are_sealed_in_their_order() -> None:
    """Each under its own name; other work runs in between."""
    turns = 0

    async def other() -> None:
        """Something else on the loop."""
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.ensure_future(other())
    bindings = await Safe(SEALER).seal_all(REF, [text("B"), key("A"), text("C")])
    beside.cancel()

    assert ["B", "A", "C"] == [binding.name for binding in bindings]
    assert turns >= 2
