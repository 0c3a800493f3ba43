"""Rotations of keys: every value is resealed to the new key in its place, and clients see no change."""

from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from tests.unit.api.tools.collections import events
from tests.unit.api.tools.driver import ACCOUNT, OTHER_ACCOUNT, Api, secret_at, secrets_of
from tests.unit.api.tools.rotation import ALL, COUNT, GROUP, RESEALING, ROOT, Rotation, text, with_values

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.bundle.resealing import NewValue, NewValues, OldValue, ResealingResult
from nightsafe.delivery.key_rotation.resealed_value import BatchSealer, reseal_value
from nightsafe.delivery.key_rotation.resealing import Progress
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import PERMISSION_GROUPS, Action
from nightsafe.sealing.rings.private_ring import PrivateKey, PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.rings.ring_file import State
from nightsafe.sealing.sealer import RingSealer
from nightsafe.sealing.suite import Suite
from nightsafe.secret_value import SecretValue
from nightsafe.services.audit.archiving import archive_change
from nightsafe.services.key_rotation.resealing import location_of_value
from nightsafe.services.key_rotation.status import accounts_with_older_values
from nightsafe.store.changes import ArchivedEntries, Change
from nightsafe.store.sealed_values import Retirement


@pytest.fixture
def rotation(own_api: Api, tmp_path: Path) -> Rotation:
    """Return an API with key files, and values of every kind in every kind of place."""
    return with_values(own_api, tmp_path)


def test_every_value_is_re_encrypted_to_the_new_key(rotation: Rotation) -> None:
    """Each value opens as before, none is left under the old key, and a second pass finds none to reseal."""
    assert ALL == rotation.contents()
    old = rotation.rotate()

    assert Progress(waiting=COUNT, resealed=COUNT) == rotation.reseal()

    assert [] == rotation.under(old)
    assert COUNT == len(rotation.under(rotation.primary))
    assert ALL == rotation.contents()
    assert Progress() == rotation.reseal()


def test_the_old_key_is_not_needed_after_re_encryption(rotation: Rotation) -> None:
    """After the resealing, a ring without the old key opens every value."""
    old = rotation.rotate()
    rotation.reseal()

    rotation.retire(old)
    rotation.ring.without(old).save(rotation.private, replace=True)

    assert ALL == rotation.contents()


def test_a_rotation_can_change_the_suite(rotation: Rotation) -> None:
    """A ring can change to the hybrid suite and back."""
    for suite in (Suite.HYBRID, Suite.X25519):
        ring = rotation.ring.rotated(suite)
        ring.save(rotation.private, replace=True)
        ring.public().save(rotation.public, replace=True)

        assert COUNT == rotation.reseal().resealed
        assert ALL == rotation.contents()


def test_new_values_are_sealed_to_the_new_key_at_once(rotation: Rotation) -> None:
    """The running API uses a new ring as soon as the file is replaced."""
    old = rotation.rotate()

    assert rotation.api.put("worker", text("NEW", "fresh")).status == 200

    assert ["fresh"] == [rotation.opened(value).decode() for value in rotation.under(rotation.primary)]
    assert COUNT == len(rotation.under(old))


def test_a_damaged_ring_file_is_not_used(rotation: Rotation) -> None:
    """The previous ring stays in use, the problem is reported once, and a valid file is used again."""
    before = rotation.primary
    rotation.public.write_bytes(b"{}")
    for name in ("A", "B"):
        assert rotation.api.put("worker", text(name, "x")).status == 200
    assert COUNT + 2 == len(rotation.under(before))
    assert 1 == len(rotation.problems)
    assert str(rotation.public) in rotation.problems[0]
    rotation.public.unlink()
    assert rotation.api.put("worker", text("C", "x")).status == 200

    rotation.rotate()
    assert rotation.api.put("worker", text("D", "x")).status == 200

    assert 1 == len(rotation.under(rotation.primary))


def test_a_re_encryption_changes_no_answer(rotation: Rotation) -> None:
    """Scripts, versions, deployments and collections are shown byte for byte as before."""
    paths = [
        f"/client/v4/accounts/{ACCOUNT}/{rest}"
        for rest in (
            "workers/scripts",
            "workers/scripts/worker/versions",
            "workers/scripts/worker/deployments",
            "workers/scripts/worker/secrets",
            "workers/scripts/worker/settings",
            "workers/workers/worker",
            "pages/projects",
            "secrets_store/stores",
        )
    ]
    before = [rotation.api.send("GET", path).body for path in paths]
    rotation.rotate()

    assert COUNT == rotation.reseal().resealed

    assert before == [rotation.api.send("GET", path).body for path in paths]


def test_the_log_lists_the_re_encrypted_values(rotation: Rotation) -> None:
    """Each batch has one log entry with the caller, the key and the places; the entry is no change for delivery."""
    rotation.rotate()
    cursor = rotation.api.run(rotation.api.app._change_feed._bundles.changes(ACCOUNT, None)).cursor

    rotation.reseal()

    entries = [event for event in events(rotation.api) if event["action"] == "keys.reseal"]
    places = [place for entry in entries for place in entry["set"]]
    assert (3, COUNT) == (len(entries), len(places))
    assert {"worker/T", "worker/K", "script/worker/K", "pages_project/blog/preview/V"} < set(places)
    assert {(rotation.primary, "secrets.reseal", "token")} == {
        (entry["resource"], entry["permission"], entry["actor_kind"]) for entry in entries
    }
    changes = rotation.api.run(rotation.api.app._change_feed._bundles.changes(ACCOUNT, cursor))
    assert ((), False, True) == (changes.scripts, changes.whole, changes.cursor.number > cursor.number)


def test_a_concurrent_change_of_a_value_is_kept(rotation: Rotation) -> None:
    """A value that changed after it was read is skipped, and the next pass reseals it."""
    rotation.rotate()
    page = rotation.api.run(rotation.old_values(""))
    batch = NewValues(tuple(renewed(rotation, value) for value in page.values))
    assert rotation.api.put("worker", text("T", "third")).status == 200

    stored = rotation.api.run(rotation.store(batch))

    assert ResealingResult(resealed=len(page.values) - 1, changed=1, refused=0) == stored
    assert COUNT - stored.resealed == rotation.reseal().resealed
    assert ALL | {"third": 1} == rotation.contents()


@pytest.mark.parametrize("answered", [0, 1, 2])
def test_an_interrupted_pass_can_be_resumed(rotation: Rotation, answered: int) -> None:
    """After an interruption, every value opens under one of the two keys, and the next pass completes the rest."""
    rotation.rotate()
    store, left = rotation.store, answered

    async def breaking(values: NewValues) -> ResealingResult:
        """Store some batches normally; store the next one but lose its answer."""
        nonlocal left
        done = await store(values)
        left -= 1
        if left < 0:
            raise NightsafeError(Code.UNAVAILABLE, "gone")
        return done

    rotation.store = breaking  # type: ignore[method-assign]
    with pytest.raises(NightsafeError):
        rotation.reseal()
    assert ALL == rotation.contents()
    rotation.store = store  # type: ignore[method-assign]

    rest = rotation.reseal()

    assert (rest.waiting, 0) == (rest.resealed, rest.changed + rest.unopened)
    assert rest.waiting < COUNT
    assert ALL == rotation.contents()


BINDING = "UPDATE bindings SET {} WHERE name = ?"
STATED = "sealed, since, stated_in, position"
THE_KEY = "SELECT {} FROM bindings WHERE name = 'K'"
TAMPERING = {
    "an unsigned record": (BINDING.format("sealed = randomblob(300)"), "T"),
    "a value of another place": (BINDING.format(f"sealed = ({THE_KEY.format('sealed')})"), "T"),
    "a record of another place": (
        BINDING.format(f"({STATED}) = ({THE_KEY.format(STATED)})"),
        "T",
    ),
    "another proof": (BINDING.format("position = position + 1"), "T"),
    "a proof that is missing": (BINDING.format("stated_in = NULL"), "T"),
    "another time": (BINDING.format("since = since + 1"), "T"),
    "other metadata": (BINDING.format("""shown = replace(shown, 'SHA-256', 'SHA-512')"""), "K"),
    "metadata that is not JSON": (BINDING.format("shown = x'00'"), "K"),
    "another sealed name": (
        "UPDATE items SET shown = replace(shown, substr(shown, -34, 32), hex(randomblob(16))) WHERE name = ?",
        "S",
    ),
    "another kind": (BINDING.format("kind = 'secret_key'"), "T"),
}


@pytest.mark.parametrize("tampering", TAMPERING)
def test_a_tampered_value_is_not_re_encrypted(rotation: Rotation, tampering: str) -> None:
    """A value that does not verify is neither opened nor signed and stays unchanged; all others are resealed."""
    rotation.rotate()
    rotation.meddle(*TAMPERING[tampering])

    done = rotation.reseal()

    assert (COUNT - 1, 1) == (done.resealed, done.unopened)
    assert Progress(waiting=1, unopened=1) == rotation.reseal()


@pytest.mark.parametrize("tampering", ["an unsigned record", "a value of another place", "a record of another place"])
def test_an_unsigned_record_never_gets_a_signature(rotation: Rotation, tampering: str) -> None:
    """A stored record without a valid signature gets none, even if a valid value is returned for it."""
    rotation.rotate()
    values = rotation.api.run(rotation.old_values("")).values
    (old,) = [value for value in values if value.name == "T" and "a" in value.mark]
    good = renewed(rotation, old)
    rotation.meddle(*TAMPERING[tampering])
    stored_before = rotation.api.run(rotation.api.store.value(ACCOUNT, old.mark))
    assert stored_before is not None

    forged = replace(good, before=sha256(stored_before.record).digest())
    stored = rotation.api.run(rotation.store(NewValues((forged,))))

    assert ResealingResult(resealed=0, changed=0, refused=1) == stored
    assert stored_before == rotation.api.run(rotation.api.store.value(ACCOUNT, old.mark))


def test_values_under_other_keys_are_refused(rotation: Rotation) -> None:
    """Values under a foreign, older or retired key, and malformed values, are refused with their batch."""
    first = rotation.rotate()
    second = rotation.rotate()
    rotation.retire(first)
    good, other = (renewed(rotation, value) for value in rotation.api.run(rotation.old_values("")).values[:2])
    old = next(stored for stored in rotation.under(first) if stored.mark == good.mark)
    place = location_of_value(old).signed
    value = SecretValue(b"x")
    stranger = RingSealer(PrivateRing.generate().public()).seal(place, value)
    ring = rotation.ring
    older = [
        RingSealer(PublicRing([key.in_state(State.PRIMARY).public])).seal(place, value)
        for key in ring.keys
        if key.id in {first, second}
    ]
    for sealed in (stranger, *older, b"", b"garbage" * 100):
        batch = [as_json(other), as_json(replace(good, sealed=sealed))]
        assert (400, [10021]) == rotation.ask("POST", RESEALING, {"values": batch}).refusal

    assert COUNT == len(rotation.under(first))
    assert rotation.ask("POST", RESEALING, {"values": [as_json(good), as_json(other)]}).status == 200


def test_a_malformed_batch_is_refused(rotation: Rotation) -> None:
    """A malformed batch is refused with a pointer and without its values; unknown marks count as changed."""
    rotation.rotate()
    good = as_json(renewed(rotation, rotation.api.run(rotation.old_values("")).values[0]))
    wrong: list[object] = [
        [],
        {},
        {"values": {}},
        {"values": [good | {"sealed": "*"}]},
        {"values": [good | {"mark": 1}]},
        {"values": [good | {"mark": "nowhere"}]},
        {"values": [{}]},
        {"values": [good] * 65},
    ]
    for body in wrong:
        answer = rotation.ask("POST", RESEALING, body)
        assert (400, [10021]) == answer.refusal
        assert str(good["sealed"])[:40].encode() not in answer.body

    nowhere = {"values": [good | {"mark": "a99999"}, good | {"before": "AAAA"}]}
    assert {"resealed": 0, "changed": 2, "refused": 0} == rotation.ask("POST", RESEALING, nowhere).result
    assert {"resealed": 0, "changed": 0, "refused": 0} == rotation.ask("POST", RESEALING, {"values": []}).result


@pytest.mark.parametrize("after", ["x", "zz:", "0000000000000000:b", ":", "a:a:a"])
def test_an_invalid_position_causes_no_failure(rotation: Rotation, after: str) -> None:
    """An invalid position is refused or leads to the end, without an internal error."""
    old = rotation.rotate()

    assert rotation.ask("GET", f"{RESEALING}?after={after}").status in {200, 400}
    assert (400, [10021]) == rotation.ask("GET", f"{RESEALING}?after={old}:nowhere").refusal


def test_keys_are_listed_with_their_numbers_of_values(rotation: Rotation) -> None:
    """Every key of the ring is listed with its state and number of values, and so are unknown keys in use."""
    old = rotation.rotate()
    rotation.api.put("worker", text("NEW", "fresh"))
    rotation.meddle("UPDATE bindings SET key_id = 'feedfeedfeedfeed' WHERE name = 'T'")

    keys = rotation.api.send("GET", f"{ROOT}/keys").result["keys"]

    assert [
        {"id": rotation.primary, "suite": "x25519", "state": "primary", "values": 1},
        {"id": old, "suite": "x25519", "state": "active", "values": COUNT - 1},
        {"id": "feedfeedfeedfeed", "suite": "", "state": "unknown", "values": 1},
    ] == keys


def test_a_retired_key_is_refused_from_an_old_ring(rotation: Rotation) -> None:
    """An API that missed a rotation stores no value under a key retired since, and says what to do."""
    old = rotation.primary
    change = retirement(old, in_use=True)
    rotation.api.run(rotation.api.store.commit(change))

    answer = rotation.api.json_anyhow("PUT", secrets_of("worker"), text("LATE", "x"))

    assert (503, "send the request again" in answer.messages[0]) == (answer.status, True)
    assert COUNT == len(rotation.under(old))
    rotation.rotate()
    assert 200 == rotation.api.put("worker", text("LATE", "x")).status


def test_values_are_re_encrypted_only_to_own_keys(rotation: Rotation) -> None:
    """Values are resealed only to a key that the private ring has and that is not retired."""
    rotation.rotate()
    ours = rotation.ring
    others = PrivateRing([PrivateKey.generate(Suite.X25519), *(key.in_state(State.ACTIVE) for key in ours.keys)])
    others.public().save(rotation.public, replace=True)

    with pytest.raises(NightsafeError, match="not in the private ring"):
        rotation.reseal()

    ours.public().save(rotation.public, replace=True)
    ours.rotated().retired(ours.public().primary.id).save(rotation.private, replace=True)
    with pytest.raises(NightsafeError, match="retired in the private ring"):
        rotation.reseal()
    assert ALL == rotation.contents()


def test_the_re_encryption_permission_is_separate(rotation: Rotation) -> None:
    """Only the resealing permission allows resealing, and it allows no other request."""
    granting = {group.id for group in PERMISSION_GROUPS.values() if Action.RESEAL in group.actions}
    assert {GROUP} == granting
    assert {Action.RESEAL} == PERMISSION_GROUPS[GROUP].actions

    for target in (f"{ROOT}/keys", f"{ROOT}/changes", f"{ROOT}/bundles/worker", secret_at("worker", "T")):
        assert (403, [10000]) == rotation.ask("GET", target).refusal
    assert (403, [10000]) == rotation.ask("PUT", secrets_of("worker"), text("T", "x")).refusal
    for method in ("GET", "POST"):
        assert (403, [10000]) == rotation.api.send(method, RESEALING).refusal
    elsewhere = RESEALING.replace(ACCOUNT, OTHER_ACCOUNT)
    assert (403, [10000]) == rotation.ask("GET", elsewhere).refusal


def renewed(rotation: Rotation, value: OldValue) -> NewValue:
    """Return the resealed value that the delivery process would send back."""
    return reseal_value(ACCOUNT, value, rotation.primary, rotation.opener, BatchSealer())


def as_json(value: NewValue) -> dict[str, object]:
    """Return the value as JSON."""
    encoded: dict[str, object] = msgspec.json.decode(msgspec.json.encode(value))
    return encoded


def retirement(key_id: str, *, in_use: bool) -> Change:
    """Return a change that retires a key."""
    event = AuditEvent(at=1, action="keys.retire", actor="", actor_kind="operator", account_id="")
    return Change(at=1, audit=entry_for(event), retire=Retirement(key_id=key_id, in_use=in_use))


def test_archived_entries_do_not_say_when_values_were_resealed(rotation: Rotation) -> None:
    """The time of the last resealing comes from the log; if its entry is archived, the time is not known."""
    store = rotation.api.store
    rotation.rotate()
    rotation.reseal()
    (before,) = rotation.api.run(accounts_with_older_values(store, "another"))
    assert before.last_on is not None
    end = rotation.api.run(store.last_audit_number())
    rotation.api.run(store.commit(archive_change(ArchivedEntries(0, end), 0)))

    (after,) = rotation.api.run(accounts_with_older_values(store, "another"))

    assert replace(before, last_on=None) == after
