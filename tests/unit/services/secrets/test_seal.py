"""Sealing of values in the safe, which wipes them in every case."""

import asyncio

import msgspec
import pytest
from tests.proofs import proven_record, signed_record

from nightsafe.bindings.model import Secret, SecretKey, SecretText
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.context import Context
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.record import key_id_of
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.sealer import SigningSealer
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.secret_value import SecretValue
from nightsafe.services.secrets.seal import Safe, SealedForPlace, sealing_ref
from nightsafe.store.collections import Kind
from nightsafe.store.scripts import ScriptRef

REF = ScriptRef("a" * 32, "worker", "namespace")
PLANTED = b"planted-value"


def text(name: str = "A") -> SecretText:
    """Return a secret text."""
    return SecretText(name, SecretValue(PLANTED))


def key(name: str = "K") -> SecretKey:
    """Return a secret key."""
    return SecretKey(name, {"name": "HMAC", "hash": "SHA-256"}, "raw", ("sign",), SecretValue(PLANTED))


class Failing:
    """A sealer that fails."""

    def __init__(self, error: BaseException, after: int = 0) -> None:
        self.error = error
        self.left = after
        self.id = SIGNING_KEY.id
        self.ring = SEALER.ring

    def seal(self, context: Context, value: SecretValue) -> bytes:
        """Seal a value, or fail after `after` calls."""
        assert context.script == REF.name
        assert value.reveal() == PLANTED
        self.left -= 1
        if self.left < 0:
            raise self.error
        return SEALER.seal(context, value)

    def check(self, sealed: bytes) -> None:
        """Fail."""
        assert sealed
        raise self.error

    def sign_message(self, message: bytes) -> bytes:
        """Fail."""
        assert message
        raise self.error


RING, SIGNING_KEY = PrivateRing.generate(), SigningKey.generate()
SEALER = SigningSealer(RING.public(), SIGNING_KEY)
VERIFIER = VerifyKeys([SIGNING_KEY.verify_key])
OPENER = RecordOpener(VERIFIER, RING)


def opened_stored(store: ScriptRef, name: str, sealed_name: str, record: bytes) -> bytes:
    """Return the value of a stored secret, opened for its name and `sealed_name`."""
    return OPENER.open_named(stored_at(store, name), stored_at(store, sealed_name), record).reveal()


def put(store: ScriptRef, name: str, value: SealedForPlace, key: SigningKey | None = None) -> bytes:
    """Return the record that the store makes of a stored secret's value."""
    assert stored_at(store, name).record_digest(value.sealed) == value.digest
    return proven_record(key or SIGNING_KEY, stored_at(store, name), value.sealed)


def stored_at(store: ScriptRef, name: str) -> Context:
    """Return the context of a stored secret."""
    return Context(
        account_id=store.account_id, namespace=store.namespace, script=store.name, name=name, kind="secret_text"
    )


@pytest.mark.parametrize("make", [text, key])
def test_a_sealed_value_opens_only_in_its_place(make: object) -> None:
    """A sealed value opens only with the place, name, type and public metadata of its binding, and is wiped."""
    secret = make()  # type: ignore[operator]
    public = secret.public_metadata()
    binding = Safe(SEALER, VERIFIER).seal(REF, secret)
    place = {
        "account_id": REF.account_id,
        "namespace": REF.namespace,
        "script": REF.name,
        "name": secret.name,
        "kind": secret.kind,
        "public": public,
    }

    assert binding.sealed is not None
    assert Context(**place).record_digest(binding.sealed) == binding.digest
    record = proven_record(SIGNING_KEY, Context(**place), binding.sealed)
    assert PLANTED == OPENER.open(Context(**place), record).reveal()
    for member in place:
        other = Context(**place | {member: b"other" if member == "public" else "other"})
        for moved in (record, proven_record(SIGNING_KEY, other, binding.sealed)):
            with pytest.raises(NightsafeError) as refused:
                OPENER.open(other, moved)
            assert refused.value.code == Code.CANNOT_OPEN
    assert (len(secret.value), secret.public_json(), secret.kind) == (0, binding.shown, binding.kind)
    assert PLANTED not in binding.sealed + binding.shown
    assert key_id_of(binding.sealed) == binding.key_id


@pytest.mark.parametrize(
    "error", [NightsafeError(Code.INVALID, "no"), RuntimeError("no"), KeyboardInterrupt(), MemoryError()], ids=repr
)
def test_a_value_is_wiped_when_sealing_fails(error: BaseException) -> None:
    """When sealing fails, the error is raised and the value is wiped."""
    secret = text()
    with pytest.raises(type(error)):
        Safe(Failing(error), VERIFIER).seal(REF, secret)

    assert len(secret.value) == 0


async def test_every_value_is_wiped_when_one_fails() -> None:
    """When one value fails, all are wiped: sealed, failed and pending ones."""
    secrets: list[Secret] = [text("A"), key("B"), text("C"), text("D")]
    with pytest.raises(RuntimeError):
        await Safe(Failing(RuntimeError("no"), after=2), VERIFIER).seal_all(REF, secrets)

    assert [0, 0, 0, 0] == [len(secret.value) for secret in secrets]


async def test_every_value_is_wiped_when_the_request_is_cancelled() -> None:
    """When a request is cancelled between two seals, every value is wiped."""
    secrets = [text("A"), text("B"), text("C")]
    work = asyncio.ensure_future(Safe(SEALER, VERIFIER).seal_all(REF, secrets))
    await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work

    assert [0, 0, 0] == [len(secret.value) for secret in secrets]


async def test_several_values_are_sealed_in_order() -> None:
    """Several values are sealed in order under their names, and other tasks run in between."""
    turns = 0

    async def other() -> None:
        """Count the turns of another task."""
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other_task = asyncio.ensure_future(other())
    bindings = await Safe(SEALER, VERIFIER).seal_all(REF, [text("B"), key("A"), text("C")])
    other_task.cancel()

    assert ["B", "A", "C"] == [binding.name for binding in bindings]
    assert turns >= 2


STORE = sealing_ref(Kind.SECRETS_STORE, "a" * 32, "b" * 32)


def test_collections_have_places_of_their_own() -> None:
    """Each kind and environment has a namespace with a colon, which no dispatch namespace can have."""
    places = {
        sealing_ref(Kind.PAGES_PROJECT, "a", "n", "production").namespace,
        sealing_ref(Kind.PAGES_PROJECT, "a", "n", "preview").namespace,
        sealing_ref(Kind.SECRETS_STORE, "a", "n").namespace,
        sealing_ref(Kind.SCRIPT, "a", "n").namespace,
    }

    assert {"pages:production", "pages:preview", "store:", "preview:"} == places


def test_a_stored_value_opens_only_with_its_id_and_name() -> None:
    """A stored value opens only with both its ID and its name, and is wiped."""
    value = SecretValue(PLANTED)
    sealed = Safe(SEALER, VERIFIER).seal_stored(STORE, "NAME", "1" * 32, value)
    record = put(STORE, "NAME", sealed)

    assert PLANTED == opened_stored(STORE, "NAME", "1" * 32, record)
    for name, sealed_name in (("OTHER", "1" * 32), ("NAME", "2" * 32), ("1" * 32, "1" * 32)):
        with pytest.raises(NightsafeError) as refused:
            opened_stored(STORE, name, sealed_name, record)
        assert refused.value.code == Code.CANNOT_OPEN
    assert len(value) == 0
    assert PLANTED not in record


def test_a_stored_value_can_be_renamed() -> None:
    """A renamed value, of either form of record, opens under both names with the same ID, and is unchanged."""
    safe = Safe(SEALER, VERIFIER)
    sealed = safe.seal_stored(STORE, "NAME", "1" * 32, SecretValue(PLANTED))
    for form in (proven_record, signed_record):
        first = form(SIGNING_KEY, stored_at(STORE, "NAME"), sealed.sealed)
        second = safe.rename_stored(STORE, "NAME", "TWIN", first)

        assert PLANTED == opened_stored(STORE, "NAME", "1" * 32, first)
        assert PLANTED == opened_stored(STORE, "TWIN", "1" * 32, put(STORE, "TWIN", second))
        assert (sealed.sealed, sealed.key_id) == (second.sealed, second.key_id)
        assert key_id_of(second.sealed) == second.key_id


def test_a_planted_record_cannot_be_renamed() -> None:
    """A record put under another name or signed by another key may have been planted, so it cannot be renamed."""
    safe = Safe(SEALER, VERIFIER)
    exchanged = put(STORE, "OTHER", safe.seal_stored(STORE, "OTHER", "1" * 32, SecretValue(PLANTED)))
    unproven = safe.seal_stored(STORE, "NAME", "1" * 32, SecretValue(PLANTED))
    forged = put(STORE, "NAME", unproven, SigningKey.generate())
    for record in (exchanged, forged, unproven.sealed, b""):
        with pytest.raises(NightsafeError) as refused:
            safe.rename_stored(STORE, "NAME", "TWIN", record)
        assert refused.value.code == Code.CANNOT_OPEN


def test_a_stored_value_is_wiped_when_sealing_fails() -> None:
    """A stored value is wiped when its sealing fails."""
    value = SecretValue(PLANTED)
    safe = Safe(Failing(RuntimeError("no")), VERIFIER)
    with pytest.raises(RuntimeError):
        safe.seal_stored(msgspec.structs.replace(STORE, name=REF.name), "NAME", "1" * 32, value)

    assert len(value) == 0
