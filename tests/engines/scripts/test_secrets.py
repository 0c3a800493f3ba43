"""Setting and dropping secrets of an existing script."""

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
    """Return the id of a script with one plain binding."""
    return (await store.commit(upload(plain("PLAIN")))).script_id


async def test_a_set_secret_is_read_at_once(store: Store, script_id: str) -> None:
    """Setting a secret makes the next version; the secret is in the outcome and in every read."""
    new = secret("B")

    outcome = await store.commit(setting(new))

    assert Outcome(2, script_id, (new.shown,)) == outcome
    assert new.shown == await store.secret(REF, "B")
    assert [new.shown] == await store.secrets(REF)
    assert [new, plain("PLAIN")] == await store.bindings(REF)


async def test_secrets_are_listed_by_name_in_byte_order(store: Store) -> None:
    """The outcome, the list and the bindings are ordered by the UTF-8 bytes of the names."""
    names = ["a", "Z", "é", "\U0001f511", "z", "￿", "A1", "A"]
    ordered = sorted(names, key=str.encode)

    outcome = await store.commit(setting(*(secret(name) for name in names)))

    assert [secret(name).shown for name in ordered] == list(outcome.secrets)
    assert list(outcome.secrets) == await store.secrets(REF)
    assert sorted([*names, "PLAIN"], key=str.encode) == [b.name for b in await store.bindings(REF)]


async def test_set_replaces_a_secret_of_either_kind(store: Store) -> None:
    """A secret is replaced whole by a secret of the other kind."""
    await store.commit(setting(secret("S")))
    new = secret("S", "secret_key")

    outcome = await store.commit(setting(new))

    assert (3, (new.shown,)) == (outcome.version, outcome.secrets)
    assert [plain("PLAIN"), new] == await store.bindings(REF)


async def test_set_refuses_the_name_of_another_kind(store: Store) -> None:
    """A secret with the name of a plain binding is refused, and nothing of the change is applied."""
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


async def test_dropped_secrets_are_gone(store: Store) -> None:
    """Dropped secrets are gone from every read, in one version; other secrets stay."""
    kept = secret("KEPT")
    await store.commit(setting(secret("A"), kept, secret("C")))

    outcome = await store.commit(dropping("A", "C"))

    assert (3, (kept.shown,)) == (outcome.version, outcome.secrets)
    assert await store.secret(REF, "A") is None
    assert [kept.shown] == await store.secrets(REF)


async def test_drop_refuses_absent_and_plain_names(store: Store) -> None:
    """Each absent name and each plain binding is a problem, and nothing is dropped."""
    await store.commit(setting(secret("A")))
    before = await state(store, REF)

    problems = await refusal(store, dropping("X", "A", "PLAIN"))

    assert problems == [(Code.BINDING_NOT_FOUND, "X"), (Code.BINDING_NOT_FOUND, "PLAIN")]
    assert before == await state(store, REF)


async def test_drop_without_require_ignores_other_names(store: Store) -> None:
    """Without `require_drop`, absent names and plain bindings are ignored and the secrets are dropped."""
    await store.commit(setting(secret("A")))

    outcome = await store.commit(dropping("X", "A", "PLAIN", require=False))

    assert (outcome.version, outcome.secrets) == (3, ())
    assert [plain("PLAIN")] == await store.bindings(REF)


async def test_an_edit_that_alters_nothing_writes_nothing(store: Store, script_id: str) -> None:
    """An edit that alters nothing makes no version and no audit entry, and returns the present secrets."""
    new = secret("A")
    await store.commit(setting(new))
    before, generation = await state(store, REF), store.generation()

    outcomes = [await store.commit(setting()), await store.commit(dropping("X", require=False))]

    assert [Outcome(0, script_id, (new.shown,))] * 2 == outcomes
    assert before == await state(store, REF)
    assert generation == store.generation()


async def test_a_name_both_dropped_and_set_is_set(store: Store) -> None:
    """Drops are applied before sets."""
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
    """A script of the same name elsewhere is another script: edits there are refused, and reads return nothing."""
    await store.commit(setting(secret("S")))

    assert [(Code.SCRIPT_NOT_FOUND, ref.name)] == await refusal(store, setting(secret("S"), ref=ref))
    assert [(Code.SCRIPT_NOT_FOUND, ref.name)] == await refusal(store, dropping("S", ref=ref))
    assert await store.secret(ref, "S") is None
    assert await store.secrets(ref) is None
    assert await store.bindings(ref) == []


async def test_plain_bindings_are_not_read_as_secrets(store: Store) -> None:
    """Reads of secrets do not return other bindings."""
    assert await store.secret(REF, "PLAIN") is None
    assert await store.secrets(REF) == []


async def test_the_limit_counts_secrets_and_text(store: Store) -> None:
    """A secret that exceeds the limit is refused with the resulting number; other kinds do not count."""
    await store.commit(upload(plain("P"), plain("J", "json"), plain("KV", "kv_namespace"), secret("K", "secret_key")))

    assert await refusal(store, setting(secret("S4"), most=4)) == []
    assert await refusal(store, setting(secret("S5"), secret("S6"), most=5)) == [(Code.TOO_MANY_BINDINGS, "6")]
    assert await refusal(store, setting(secret("S5"), most=4)) == [(Code.TOO_MANY_BINDINGS, "5")]
    assert await store.secret(REF, "S5") is None


async def test_the_limit_refuses_only_additions(store: Store) -> None:
    """When a lowered limit is exceeded already, replacing and dropping still work."""
    await store.commit(setting(secret("A"), secret("B"), secret("C")))

    assert await refusal(store, setting(secret("A", "secret_key"), most=1)) == []
    swap = ScriptEdit(list_secrets=True, ref=REF, stamp=stamp(), set=(secret("D"),), drop=("B",), max_variables=1)
    assert await refusal(store, change(swap)) == []
    assert await refusal(store, dropping("C")) == []


async def test_the_count_for_the_limit_stays_exact(store: Store) -> None:
    """After sets, replacements, drops and uploads, the store's count equals the number of bindings."""
    for number in range(6):
        await store.commit(setting(secret(f"S{number}"), secret("S0")))
    await store.commit(dropping("S1", "S2"))
    await store.commit(upload(plain("P"), plain("KV", "kv_namespace"), keep=("secret_text",)))

    count = sum(binding.kind != "kv_namespace" for binding in await store.bindings(REF))
    assert [(Code.TOO_MANY_BINDINGS, str(count + 1))] == await refusal(store, setting(secret("N"), most=count))
    assert await refusal(store, setting(secret("N"), most=count + 1)) == []


async def test_must_be_live_is_refused_over_undeployed_code(store: Store) -> None:
    """An edit that must be live is refused with its code unless the newest version is the only one deployed."""
    await store.commit(upload(deployed=False))
    before = await state(store, REF)
    edits = [
        editing(stamp=stamp(), set=(secret("S"),), must_be_live=Code.SECRET_NOT_LIVE),
        editing(stamp=stamp(), drop=("S",), must_be_live=Code.SETTINGS_NOT_LIVE),
    ]

    problems = [await refusal(store, edit) for edit in edits]

    assert [[(Code.SECRET_NOT_LIVE, "worker")], [(Code.SETTINGS_NOT_LIVE, "worker")]] == problems
    assert before == await state(store, REF)


async def test_must_be_live_is_refused_amid_split_traffic(store: Store) -> None:
    """An edit that must be live is accepted only when the newest version is served alone."""
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
    """A script whose first version is not deployed is not live."""
    ref = ScriptRef(ACCOUNT, "draft")
    await store.commit(upload(ref=ref, deployed=False))
    edit = editing(ref, stamp=stamp(), set=(secret("S"),), must_be_live=Code.SECRET_NOT_LIVE)

    assert [(Code.SECRET_NOT_LIVE, "draft")] == await refusal(store, edit)


async def test_a_secret_can_be_set_over_undeployed_code(store: Store) -> None:
    """Without `must_be_live` a secret is set over an undeployed version, and deployed as its stamp says."""
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
