"""Concurrent commits, cancelled callers, and opening and closing the store."""

import asyncio

import pytest
from msgspec.structs import replace
from tests.engines.test_identities import TOKEN
from tests.engines.tools.changes import (
    ACCOUNT,
    REF,
    change,
    dropping,
    entry,
    namespace,
    plain,
    removing,
    secret,
    setting,
    upload,
)
from tests.engines.tools.engine import Engine
from tests.engines.tools.refusals import refusal, state

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.changes import Outcome
from nightsafe.store.collections import CollectionEdit, Kind
from nightsafe.store.interface import Store
from nightsafe.store.script_edit import ScriptEdit
from nightsafe.store.scripts import Binding, ScriptRef


async def test_a_thousand_concurrent_commits_make_as_many_versions(store: Store) -> None:
    """All concurrent commits to one script succeed, each with its own version."""
    await store.commit(upload())
    names = [f"S{number:04}" for number in range(1000)]

    outcomes = await asyncio.gather(*(store.commit(setting(secret(name), most=2000)) for name in names))

    assert list(range(2, 1002)) == sorted(outcome.version for outcome in outcomes)
    assert names == [binding.name for binding in await store.bindings(REF)]
    assert list(range(1001, 0, -1)) == [version.number for version in await store.versions(REF, limit=10_000)]
    for outcome in (outcomes[0], outcomes[499], outcomes[999]):
        assert outcome.secrets == tuple(binding.shown for binding in await store.bindings(REF, outcome.version))


async def test_concurrent_writes_of_one_secret_keep_each_value(store: Store) -> None:
    """When commits set the same name concurrently, each version holds the value of its own commit."""
    await store.commit(upload())
    new = [secret("S") for _ in range(1000)]

    outcomes = await asyncio.gather(*(store.commit(setting(binding)) for binding in new))

    written = {outcome.version: binding for outcome, binding in zip(outcomes, new, strict=True)}
    for version in (2, 3, 500, 1000, 1001):
        assert [written[version]] == await store.bindings(REF, version)


async def test_a_refusal_does_not_affect_other_commits(store: Store) -> None:
    """Of a hundred commits that wait together, the refused ones reach their own callers and the others succeed."""
    await store.commit(upload(plain("PLAIN")))
    changes = []
    for number in range(25):
        changes += [
            setting(secret(f"A{number}")),
            setting(secret(f"B{number}"), secret("PLAIN")),
            dropping("ABSENT"),
            upload(ref=ScriptRef(ACCOUNT, f"worker-{number}")),
            setting(secret("S"), ref=ScriptRef(ACCOUNT, "absent")),
        ]

    answers = await asyncio.gather(*(store.commit(new) for new in changes), return_exceptions=True)

    codes = [answer.code if isinstance(answer, NightsafeError) else None for answer in answers]
    expected = [None, Code.BINDING_NAME_TAKEN, Code.BINDING_NOT_FOUND, None, Code.SCRIPT_NOT_FOUND]
    assert expected * 25 == codes
    assert sorted([*(f"A{number}" for number in range(25)), "PLAIN"]) == [b.name for b in await store.bindings(REF)]
    assert len(await store.scripts(ACCOUNT)) == 26
    assert len(await store.audit_entries(ACCOUNT)) == 51


async def test_an_unstorable_change_fails_alone(store: Store) -> None:
    """Text that the database cannot store fails only its own commit, which writes nothing."""
    await store.commit(upload())

    answers = await asyncio.gather(
        store.commit(setting(secret("A"))),
        store.commit(setting(secret("B"), Binding("\ud800", "secret_text", b"{}", b"x"))),
        store.commit(setting(secret("D"))),
        return_exceptions=True,
    )

    assert [Outcome, UnicodeEncodeError, Outcome] == [type(answer) for answer in answers]
    assert [binding.name for binding in await store.bindings(REF)] == ["A", "D"]


async def test_commits_of_one_caller_are_in_order(store: Store) -> None:
    """Changes that one caller commits without waiting are applied in order."""
    tasks = [
        asyncio.ensure_future(store.commit(new)) for new in (upload(), setting(secret("S")), removing(), upload())
    ]

    assert [outcome.version for outcome in await asyncio.gather(*tasks)] == [1, 2, 0, 1]


async def test_a_cancelled_commit_is_applied_whole_or_not_at_all(store: Store) -> None:
    """When callers are cancelled, each of their changes is applied whole or not at all; all others are applied."""
    await store.commit(upload())
    tasks = [asyncio.ensure_future(store.commit(setting(secret(f"S{number:02}")))) for number in range(50)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    names = {binding.name for binding in await store.bindings(REF)}

    assert {f"S{number:02}" for number in range(1, 50, 2)} <= names
    assert [asyncio.CancelledError] * 25 == [type(answer) for answer in answers[::2]]
    assert len(names) + 1 == len(await store.versions(REF, limit=10_000)) == len(await store.audit_entries(ACCOUNT))


async def test_a_read_sees_every_answered_commit(store: Store) -> None:
    """With writers and readers at once, every caller reads its own answered write."""
    await store.commit(upload())

    async def write_and_read(number: int) -> None:
        """Write and read as one caller."""
        for turn in range(10):
            new = secret(f"S{number}", "secret_key" if turn % 2 else "secret_text")
            await store.commit(setting(new))
            assert new.shown == await store.secret(REF, new.name)

    await asyncio.gather(*(write_and_read(number) for number in range(20)))


async def test_each_version_keeps_its_bindings(store: Store) -> None:
    """Each version returns the bindings that it had; unknown version numbers return none."""
    one, two, three = secret("A"), secret("A"), secret("B", "secret_key")
    for new in (upload(plain("P")), setting(one), setting(two, three), dropping("A"), upload(keep=("secret_key",))):
        await store.commit(new)

    history = [await store.bindings(REF, number) for number in range(7)]

    expected = [[], [plain("P")], [one, plain("P")], [two, three, plain("P")], [three, plain("P")], [three], []]
    assert expected == history


async def test_one_change_may_alter_a_script_and_a_collection(store: Store) -> None:
    """A change of a script and a collection is written if it alters either one, and not if it alters neither."""
    await store.commit(namespace("ns"))
    await store.commit(upload())
    kind = Kind.DISPATCH_NAMESPACE
    edits = (ScriptEdit(ref=REF, triggers=b'{"a":1}'), ScriptEdit(ref=REF, triggers=b"{}"))
    holds = [CollectionEdit(account_id=ACCOUNT, kind=kind, name="ns", body=body) for body in (b'{"b":1}', b"{}")]
    counts = []
    for edit, collection_edit in ((0, 1), (1, 0), (1, 1)):
        outcome = await store.commit(replace(change(edits[edit]), collection_edit=holds[collection_edit]))
        counts.append(len(await store.audit_entries(ACCOUNT)))
        assert (await store.script(REF), await store.collection(ACCOUNT, kind, "ns")) == (
            outcome.script,
            outcome.collection,
        )

    script, collection = await store.script(REF), await store.collection(ACCOUNT, kind, "ns")

    assert script is not None
    assert collection is not None
    assert [3, 4, 4] == counts
    assert (script.triggers, collection.body) == (b'{"a":1}', b'{"b":1}')


async def test_a_refused_collection_undoes_the_script(store: Store) -> None:
    """When the collection's part of a change is refused, the script is not altered either."""
    await store.commit(upload())
    before = await state(store, REF)
    collection_edit = CollectionEdit(account_id=ACCOUNT, kind=Kind.DISPATCH_NAMESPACE, name="absent", body=b"{}")

    problems = await refusal(store, replace(setting(secret("S")), collection_edit=collection_edit))

    assert [(Code.COLLECTION_NOT_FOUND, "absent")] == problems
    assert before == await state(store, REF)


async def test_the_generation_changes_with_each_commit(store: Store) -> None:
    """The generation differs after each commit; reads and refusals do not change it."""
    await store.commit(upload())
    first = store.generation()
    await state(store, REF)
    await refusal(store, dropping("X"))
    unchanged = store.generation()
    seen = [first]
    for _ in range(3):
        await store.commit(setting(secret("S")))
        seen.append(store.generation())

    assert first == unchanged
    assert len({repr(generation) for generation in seen}) == 4


async def test_the_identity_generation_changes_with_each_identity(engine: Engine, store: Store) -> None:
    """It differs after each commit that writes or removes an identity, here or through another store.

    Nothing but a commit changes it, and a secret is read together with it.
    """
    other = await engine.open()
    try:
        await store.commit(upload(secret("S")))
        first = await store.identity_generation()
        await state(store, REF)
        await refusal(store, dropping("X"))
        unchanged = await store.identity_generation()
        seen = [first]
        for writer in (store, other, other, store):
            await writer.commit(change(None, replace(TOKEN, name=f"name {len(seen)}")))
            seen.append(await store.identity_generation())
        await other.commit(replace(change(), drop_tokens=(TOKEN.id,)))
        shown, generation = await store.secret_and_identity_generation(REF, "S")
        seen.append(generation)
        absent = await store.secret_and_identity_generation(REF, "X")
    finally:
        await other.close()

    assert first == unchanged
    assert len({repr(generation) for generation in seen}) == 6
    assert shown == await store.secret(REF, "S") is not None
    assert (None, seen[-1]) == absent


async def test_a_healthy_store_passes_its_check(store: Store) -> None:
    """A healthy store passes the check, which changes nothing."""
    await store.commit(upload())
    before = await state(store, REF)

    await store.check()

    assert before == await state(store, REF)


async def test_data_survives_reopening(engine: Engine) -> None:
    """Closing and opening changes nothing, and version numbers continue."""
    store = await engine.open()
    await store.commit(upload(secret("S"), plain("P")))
    await store.commit(setting(secret("S")))
    before = await state(store, REF)
    await store.close()

    store = await engine.open()
    try:
        assert before == await state(store, REF)
        assert (await store.commit(setting(secret("T")))).version == 3
    finally:
        await store.close()


async def test_close_finishes_waiting_commits(engine: Engine) -> None:
    """Changes committed before `close` are answered and stored."""
    store = await engine.open()
    tasks = [
        asyncio.ensure_future(store.commit(new)) for new in (upload(), *(setting(secret(f"S{n}")) for n in range(50)))
    ]
    await asyncio.sleep(0)
    await store.close()
    outcomes = await asyncio.gather(*tasks)

    store = await engine.open()
    try:
        assert list(range(1, 52)) == [outcome.version for outcome in outcomes]
        assert len(await store.bindings(REF)) == 50
    finally:
        await store.close()


async def test_a_closed_store_refuses_every_call(engine: Engine) -> None:
    """After `close` every call is refused with STORE; a second `close` is not."""
    store = await engine.open()
    await store.commit(upload())
    await store.close()
    await store.close()

    for call in (
        lambda: store.commit(change(audit=entry())),
        lambda: store.secret(REF, "S"),
        lambda: store.secrets(REF),
        lambda: store.scripts(ACCOUNT),
        store.check,
    ):
        with pytest.raises(NightsafeError) as caught:
            await call()
        assert caught.value.code == Code.STORE
    with pytest.raises(NightsafeError) as caught:
        store.generation()
    assert caught.value.code == Code.STORE
