"""Setting and dropping secrets of a script that is there."""

import pytest
from tests.engines.tools.changes import (
    ACCOUNT,
    REF,
    change,
    deploying,
    dropping,
    editing,
    plain,
    secret,
    setting,
    stamp,
    upload,
)
from tests.engines.tools.refusals import refusal, state

from nightsafe.errors import Code
from nightsafe.store.changes import Outcome
from nightsafe.store.interface import Store
from nightsafe.store.script_edit import ScriptEdit
from nightsafe.store.scripts import ScriptRef


@pytest.fixture(autouse=True)
async def script_id(store: Store) -> str:
    """The id of a script with one plain binding."""
    return (await store.commit(upload(plain("PLAIN")))).script_id


async def test_set_is_a_version_and_is_read_at_once(store: Store, script_id: str) -> None:
    """A secret that was set makes the next version, is in the outcome, and is there for every read."""
    new = secret("B")

    outcome = await store.commit(setting(new))

    assert Outcome(2, script_id, (new.shown,)) == outcome
    assert new.shown == await store.shown(REF, "B")
    assert [new.shown] == await store.secrets(REF)
    assert [new, plain("PLAIN")] == await store.bindings(REF)


async def test_secrets_are_by_name_in_byte_order(store: Store) -> None:
    """Outcome, list and bindings are ordered by the UTF-8 bytes of the name."""
    names = ["a", "Z", "é", "\U0001f511", "z", "￿", "A1", "A"]
    ordered = sorted(names, key=str.encode)

    outcome = await store.commit(setting(*(secret(name) for name in names)))

    assert [secret(name).shown for name in ordered] == list(outcome.secrets)
    assert list(outcome.secrets) == await store.secrets(REF)
    assert sorted([*names, "PLAIN"], key=str.encode) == [b.name for b in await store.bindings(REF)]


async def test_set_replaces_a_secret_of_either_kind(store: Store) -> None:
    """A secret's name takes a secret of the other kind, whole."""
    await store.commit(setting(secret("S")))
    new = secret("S", "secret_key")

    outcome = await store.commit(setting(new))

    assert (3, (new.shown,)) == (outcome.version, outcome.secrets)
    assert [plain("PLAIN"), new] == await store.bindings(REF)


async def test_set_refuses_the_name_of_another_kind(store: Store) -> None:
    """A name that a plain binding has is refused by name, and nothing of the change is applied."""
    before = await state(store, REF)

    problems = await refusal(store, setting(secret("S"), secret("PLAIN")))

    assert problems == [(Code.BINDING_NAME_TAKEN, "PLAIN")]
    assert before == await state(store, REF)


async def test_last_of_equal_names_wins(store: Store) -> None:
    """When a change sets a name twice, the last one is kept."""
    last = secret("S", "secret_key")

    outcome = await store.commit(setting(secret("S"), last))

    assert (last.shown,) == outcome.secrets
    assert [plain("PLAIN"), last] == await store.bindings(REF)


async def test_drop_takes_secrets_away(store: Store) -> None:
    """A dropped secret is gone from every read, in one version; its neighbours stay."""
    kept = secret("KEPT")
    await store.commit(setting(secret("A"), kept, secret("C")))

    outcome = await store.commit(dropping("A", "C"))

    assert (3, (kept.shown,)) == (outcome.version, outcome.secrets)
    assert await store.shown(REF, "A") is None
    assert [kept.shown] == await store.secrets(REF)


async def test_drop_refuses_what_is_no_secret(store: Store) -> None:
    """Each absent name, and each plain one, is a problem of its own; nothing is dropped."""
    await store.commit(setting(secret("A")))
    before = await state(store, REF)

    problems = await refusal(store, dropping("X", "A", "PLAIN"))

    assert problems == [(Code.BINDING_NOT_FOUND, "X"), (Code.BINDING_NOT_FOUND, "PLAIN")]
    assert before == await state(store, REF)


async def test_drop_can_pass_over_what_is_no_secret(store: Store) -> None:
    """Without `require_drop`, absent and plain names are passed over and the rest is dropped."""
    await store.commit(setting(secret("A")))

    outcome = await store.commit(dropping("X", "A", "PLAIN", require=False))

    assert (outcome.version, outcome.secrets) == (3, ())
    assert [plain("PLAIN")] == await store.bindings(REF)


async def test_what_alters_nothing_writes_nothing(store: Store, script_id: str) -> None:
    """An edit with nothing to do makes no version and no audit entry, and tells the secrets there are."""
    new = secret("A")
    await store.commit(setting(new))
    before, generation = await state(store, REF), store.generation()

    outcomes = [await store.commit(setting()), await store.commit(dropping("X", require=False))]

    assert [Outcome(0, script_id, (new.shown,))] * 2 == outcomes
    assert before == await state(store, REF)
    assert generation == store.generation()


async def test_a_name_both_dropped_and_set_is_set(store: Store) -> None:
    """Dropping comes before setting."""
    await store.commit(setting(secret("A")))
    new = secret("A", "secret_key")

    outcome = await store.commit(
        change(ScriptEdit(list_secrets=True, ref=REF, stamp=stamp(), set=(new,), drop=("A",)))
    )

    assert (3, (new.shown,)) == (outcome.version, outcome.secrets)


@pytest.mark.parametrize(
    "ref", [ScriptRef(ACCOUNT, "other"), ScriptRef(ACCOUNT, "worker", "ns"), ScriptRef("f" * 32, "worker")]
)
async def test_an_absent_script_is_refused(store: Store, ref: ScriptRef) -> None:
    """Same names elsewhere are other scripts: setting and dropping there is refused, reads give nothing."""
    await store.commit(setting(secret("S")))

    assert [(Code.SCRIPT_NOT_FOUND, ref.name)] == await refusal(store, setting(secret("S"), ref=ref))
    assert [(Code.SCRIPT_NOT_FOUND, ref.name)] == await refusal(store, dropping("S", ref=ref))
    assert await store.shown(ref, "S") is None
    assert await store.secrets(ref) is None
    assert await store.bindings(ref) == []


async def test_plain_bindings_are_no_secrets(store: Store) -> None:
    """Reads of secrets do not tell of other bindings."""
    assert await store.shown(REF, "PLAIN") is None
    assert await store.secrets(REF) == []


async def test_the_limit_counts_secrets_and_text(store: Store) -> None:
    """Past the limit a new secret is refused with how many there would be; other kinds do not count."""
    await store.commit(upload(plain("P"), plain("J", "json"), plain("KV", "kv_namespace"), secret("K", "secret_key")))

    assert await refusal(store, setting(secret("S4"), most=4)) == []
    assert await refusal(store, setting(secret("S5"), secret("S6"), most=5)) == [(Code.TOO_MANY_BINDINGS, "6")]
    assert await refusal(store, setting(secret("S5"), most=4)) == [(Code.TOO_MANY_BINDINGS, "5")]
    assert await store.shown(REF, "S5") is None


async def test_the_limit_holds_only_what_raises_the_number(store: Store) -> None:
    """With more variables than a lowered limit, replacing and dropping still work."""
    await store.commit(setting(secret("A"), secret("B"), secret("C")))

    assert await refusal(store, setting(secret("A", "secret_key"), most=1)) == []
    swap = ScriptEdit(list_secrets=True, ref=REF, stamp=stamp(), set=(secret("D"),), drop=("B",), max_variables=1)
    assert await refusal(store, change(swap)) == []
    assert await refusal(store, dropping("C")) == []


async def test_the_limit_is_one_that_many_changes_cannot_pass(store: Store) -> None:
    """Set, replaced, dropped, uploaded: the store's count never drifts from what there is."""
    for number in range(6):
        await store.commit(setting(secret(f"S{number}"), secret("S0")))
    await store.commit(dropping("S1", "S2"))
    await store.commit(upload(plain("P"), plain("KV", "kv_namespace"), keep=("secret_text",)))

    count = sum(binding.kind != "kv_namespace" for binding in await store.bindings(REF))
    assert [(Code.TOO_MANY_BINDINGS, str(count + 1))] == await refusal(store, setting(secret("N"), most=count))
    assert await refusal(store, setting(secret("N"), most=count + 1)) == []


async def test_what_must_be_live_is_refused_over_undeployed_code(store: Store) -> None:
    """Unless the newest version is the only deployed one, it is refused with its code, and nothing is done."""
    await store.commit(upload(deployed=False))
    before = await state(store, REF)
    edits = [
        editing(stamp=stamp(), set=(secret("S"),), must_be_live=Code.SECRET_NOT_LIVE),
        editing(stamp=stamp(), drop=("S",), must_be_live=Code.SETTINGS_NOT_LIVE),
    ]

    problems = [await refusal(store, edit) for edit in edits]

    assert [[(Code.SECRET_NOT_LIVE, "worker")], [(Code.SETTINGS_NOT_LIVE, "worker")]] == problems
    assert before == await state(store, REF)


async def test_what_must_be_live_is_refused_amid_split_traffic(store: Store) -> None:
    """The newest version must be served alone; as soon as it is, the change is taken."""
    await store.commit(upload())
    newest, older = await store.versions(REF)
    edit = editing(stamp=stamp(), set=(secret("S"),), must_be_live=Code.SECRET_NOT_LIVE)

    await store.commit(deploying((newest.id, 50.0), (older.id, 50.0)))
    assert [(Code.SECRET_NOT_LIVE, "worker")] == await refusal(store, edit)
    await store.commit(deploying((older.id, 100.0)))
    assert [(Code.SECRET_NOT_LIVE, "worker")] == await refusal(store, edit)
    await store.commit(deploying((newest.id, 100.0)))
    assert (await store.commit(edit)).version == 3


async def test_a_script_never_deployed_is_not_live(store: Store) -> None:
    """A first version that is not deployed is served by nobody, so what must be live is refused."""
    ref = ScriptRef(ACCOUNT, "draft")
    await store.commit(upload(ref=ref, deployed=False))
    edit = editing(ref, stamp=stamp(), set=(secret("S"),), must_be_live=Code.SECRET_NOT_LIVE)

    assert [(Code.SECRET_NOT_LIVE, "draft")] == await refusal(store, edit)


async def test_a_change_for_any_state_goes_over_undeployed_code(store: Store) -> None:
    """Without `must_be_live` a secret is set over the newest version, deployed or not as its stamp says."""
    await store.commit(upload(bodies=(b"new",), keep=("plain_text",), deployed=False))
    await store.commit(editing(stamp=stamp(deployed=False), set=(secret("S"),)))
    script = await store.script(REF)
    assert script is not None
    assert (script.version, script.live_version) == (3, 1)

    await store.commit(setting(secret("T")))

    script = await store.script(REF)
    assert script is not None
    assert (script.version, script.live_version) == (4, 4)
    assert ["PLAIN", "S", "T"] == [binding.name for binding in await store.bindings(REF)]
