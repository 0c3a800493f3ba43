"""Sealed values by their key, records that take the place of others, keys that take no new values."""

import os
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace
from tests.engines.tools.changes import (
    ACCOUNT,
    OTHER_ACCOUNT,
    REF,
    change,
    deploying,
    dropping,
    entry,
    namespace,
    plain,
    secret,
    setting,
    stamp,
    upload,
)
from tests.engines.tools.collections import held, holding, making, new_collection, open_value, putting, value
from tests.engines.tools.engine import Engine
from tests.engines.tools.refusals import refusal, state

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.changes import Change
from nightsafe.store.collections import Kind
from nightsafe.store.identities import Account
from nightsafe.store.interface import Store
from nightsafe.store.scripts import Binding, ScriptRef
from nightsafe.store.sealed_values import Resealed, Retirement, StoredValue

OLD, NEW = "key-1", "key-2"
INSIDE = ScriptRef(ACCOUNT, "worker", "space")


def resealing(*values: Resealed, account_id: str = ACCOUNT) -> Change:
    """A change that puts records in the place of others."""
    return replace(change(audit=entry("resealed", account_id)), reseal=values)


def anew(one: StoredValue, key_id: str = NEW) -> Resealed:
    """Another record for a value that was read."""
    return Resealed(mark=one.mark, before=one.sealed, sealed=os.urandom(200), key_id=key_id)


def retiring(key_id: str, *, in_use: bool = False) -> Change:
    """A change that retires a key."""
    return replace(change(audit=entry(account_id="")), retire=Retirement(key_id=key_id, in_use=in_use))


async def under(store: Store, key_id: str = OLD, account_id: str = ACCOUNT) -> list[StoredValue]:
    """Every value under a key, page by page."""
    found: list[StoredValue] = []
    while page := await store.values_under(account_id, key_id, after=found[-1].mark if found else "", limit=2):
        found += page
    return found


async def filled(store: Store) -> None:
    """Values in every kind of place: newest versions, older ones, items of three kinds of collection."""
    for new in (
        change(None, Account(ACCOUNT, "Home", 1), Account(OTHER_ACCOUNT, "Other", 1)),
        namespace("space"),
        upload(plain("P"), secret("A"), secret("K", "secret_key")),
        setting(secret("A")),
        dropping("K"),
        upload(secret("B"), ref=INSIDE),
        making(new_collection(), put=(value("S"), open_value("O"))),
        making(new_collection("site", Kind.PAGES_PROJECT), put=(value("V", "production"),)),
        holding(REF.name, Kind.SCRIPT, put=(value("D"),)),
        upload(secret("A"), ref=ScriptRef(OTHER_ACCOUNT, "worker")),
    ):
        await store.commit(new)


async def test_every_value_is_found_where_it_lies(store: Store) -> None:
    """Each once, with all that its place is made of; what is no secret, and what another account has, is not."""
    await filled(store)

    found = await under(store)

    places = [(one.collection, one.namespace, one.owner, one.environment, one.name, one.kind) for one in found]
    assert sorted(
        [
            (None, "", "worker", "", "A", "secret_text"),
            (None, "", "worker", "", "A", "secret_text"),
            (None, "", "worker", "", "K", "secret_key"),
            (None, "space", "worker", "", "B", "secret_text"),
            (Kind.SECRETS_STORE, "", "main", "", "S", "secret_text"),
            (Kind.PAGES_PROJECT, "", "site", "production", "V", "secret_text"),
            (Kind.SCRIPT, "", "worker", "", "D", "secret_text"),
        ],
        key=str,
    ) == sorted(places, key=str)
    assert len(found) == len({one.mark for one in found}) == len({one.sealed for one in found})
    assert {(ACCOUNT, OLD)} == {(one.account_id, one.key_id) for one in found}
    older = [one.sealed for one in await store.bindings(REF, 1) if one.sealed is not None]
    assert set(older) <= {one.sealed for one in found}
    assert {one.shown for one in await held(store) if one.sealed} <= {one.shown for one in found}


async def test_a_value_by_its_mark(store: Store) -> None:
    """It is the same as in its page; to another account there is none, and none where no secret lies."""
    await filled(store)

    for one in await under(store):
        assert one == await store.value(ACCOUNT, one.mark)
        assert None is await store.value(OTHER_ACCOUNT, one.mark)
    assert None is await store.value(ACCOUNT, "a9999")
    secrets = {one.mark for one in await under(store)}
    rows = [await store.value(ACCOUNT, f"{letter}{number}") for letter in "abc" for number in range(1, 20)]
    assert secrets == {one.mark for one in rows if one is not None}


async def test_counts_and_keys(store: Store) -> None:
    """They tell of one account; of what there is not they tell nothing."""
    assert ([], 0) == (await store.keys_in_use(ACCOUNT), await store.count_values(ACCOUNT, OLD))
    await filled(store)
    await store.commit(putting(value("T", key_id=NEW)))

    assert [OLD, NEW] == await store.keys_in_use(ACCOUNT)
    assert [OLD] == await store.keys_in_use(OTHER_ACCOUNT)
    assert (7, 1) == (await store.count_values(ACCOUNT, OLD), await store.count_values(ACCOUNT, NEW))
    assert (1, 0) == (await store.count_values(OTHER_ACCOUNT, OLD), await store.count_values(OTHER_ACCOUNT, NEW))


async def test_a_count_goes_past_its_turns(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """More values than are counted in one turn, and just as many, are all counted."""
    monkeypatch.setattr("nightsafe.store.sqlite.reads.sealed_values._ROWS_A_TURN", 4)
    await store.commit(upload(*(secret(f"S{number}") for number in range(8))))
    assert 8 == await store.count_values(ACCOUNT, OLD)

    await store.commit(setting(secret("MORE")))

    assert 9 == await store.count_values(ACCOUNT, OLD)


async def test_a_page_is_bounded(store: Store) -> None:
    """By its number of values and by their bytes; one comes in any case, however long."""
    sizes = (100, 100, 1000, 100)
    await store.commit(upload(*(secret(f"S{at}", sealed=os.urandom(size)) for at, size in enumerate(sizes))))

    async def page(limit: int = 100, max_bytes: int = 1 << 20) -> list[int]:
        """The lengths of the records of the first page."""
        found = await store.values_under(ACCOUNT, OLD, limit=limit, max_bytes=max_bytes)
        return [len(one.sealed) for one in found]

    assert [100] == await page(limit=1)
    assert [100, 100, 1000] == await page(max_bytes=201)
    assert [100, 100] == await page(max_bytes=200)
    assert [100] == await page(max_bytes=1)


async def test_a_resealed_value_is_the_same_everywhere_else(store: Store) -> None:
    """Only record and key change, in every kind of place: no version, no time, nothing shown; one log entry."""
    await filled(store)
    before, log = await everything(store), await store.audit_entries(ACCOUNT, limit=1000)
    found = await under(store)
    new = [anew(one) for one in found]

    outcome = await store.commit(resealing(*new))

    assert tuple(one.mark for one in new) == outcome.resealed
    assert (0, None, "") == (outcome.version, outcome.script, outcome.script_id)
    assert [] == await under(store)
    records = {one.before: one.sealed for one in new}
    assert [replace(one, sealed=records[one.sealed], key_id=NEW) for one in found] == await under(store, NEW)
    assert exchanged(before, records) == await everything(store)
    assert [b"resealed"] == [one.entry for _, one in (await store.audit_entries(ACCOUNT, limit=1000))[len(log) :]]
    assert 1 == await store.count_values(OTHER_ACCOUNT, OLD)


async def everything(store: Store) -> list[Binding | object]:
    """What is told of scripts and collections."""
    told: list[Binding | object] = []
    for ref in (REF, INSIDE):
        script = await store.script(ref)
        assert script is not None
        told += [script, *await store.versions(ref), *await store.deployments(ref)]
        told += [one for number in range(1, script.version + 1) for one in await store.bindings(ref, number)]
    for kind, name in ((Kind.SECRETS_STORE, "main"), (Kind.PAGES_PROJECT, "site"), (Kind.SCRIPT, REF.name)):
        told += [await store.collection(ACCOUNT, kind, name), *await held(store, name, kind)]
    return told


def exchanged(told: list[Binding | object], records: dict[bytes, bytes]) -> list[object]:
    """The same with other records, under the other key."""
    return [
        replace(one, sealed=records[sealed], key_id=NEW)  # type: ignore[type-var]
        if (sealed := getattr(one, "sealed", None)) is not None
        else one
        for one in told
    ]


async def test_a_rollback_still_sees_the_same_secrets(store: Store) -> None:
    """A value that two versions share is still one and the same after it was sealed anew."""
    first, second = stamp("upload"), stamp("upload")
    await store.commit(upload(secret("A"), made_by=first))
    await store.commit(upload(keep=("secret_text",), made_by=second))

    await store.commit(resealing(*(anew(one) for one in await under(store))))

    assert [] == await refusal(store, deploying((first.version_id, 100.0)))


async def test_what_has_changed_meanwhile_stays(store: Store) -> None:
    """A value that was replaced, or is gone, is passed over, and the others of the change are done."""
    await store.commit(upload(secret("A"), secret("B")))
    await store.commit(making(new_collection(), put=(value("C"), value("D"))))
    read = await under(store)
    await store.commit(setting(secret("A")))
    await store.commit(putting(drop=(("", "C"),)))

    outcome = await store.commit(resealing(*(anew(one) for one in read)))

    done = [one.name for one in read if one.mark in outcome.resealed]
    assert ["B", "D"] == done
    assert ["A", "A"] == [one.name for one in await under(store)]


async def test_nothing_resealed_is_nothing_written(store: Store) -> None:
    """Not even the log's entry; nor can the values of an account be changed in the name of another."""
    await filled(store)
    before = await state(store, REF)
    (one, *_) = await under(store)

    wrong = replace(anew(one), before=os.urandom(200))
    for new in (resealing(wrong), resealing(anew(one), account_id=OTHER_ACCOUNT)):
        assert () == (await store.commit(new)).resealed

    assert before == await state(store, REF)
    assert 1 == len(await store.audit_entries(OTHER_ACCOUNT, limit=1000))


@pytest.mark.parametrize("mark", ["", "a", "z1", "a-1", "a1x", "a\u0661", "a" + "9" * 40])
async def test_a_mark_that_is_none(store: Store, mark: str) -> None:
    """It is refused, in a change and as the place to go on from, which may be empty."""
    await filled(store)
    (one, *_) = await under(store)

    assert [Code.INVALID] == [code for code, _ in await refusal(store, resealing(replace(anew(one), mark=mark)))]
    if mark:
        with pytest.raises(NightsafeError) as caught:
            await store.values_under(ACCOUNT, OLD, after=mark)
        assert Code.INVALID == caught.value.code
    with pytest.raises(NightsafeError) as caught:
        await store.value(ACCOUNT, mark)
    assert Code.INVALID == caught.value.code


async def test_a_key_in_use_is_not_retired(store: Store) -> None:
    """In whichever place its last value lies, and in whichever account, unless that is meant."""
    await filled(store)
    assert [(Code.KEY_IN_USE, OLD)] == await refusal(store, retiring(OLD))
    for account in (ACCOUNT, OTHER_ACCOUNT):
        for one in await under(store, account_id=account):
            assert [(Code.KEY_IN_USE, OLD)] == await refusal(store, retiring(OLD))
            await store.commit(resealing(anew(one), account_id=account))
    assert [] == await store.retired_keys()

    assert [] == await refusal(store, retiring(OLD))
    assert [] == await refusal(store, retiring(NEW, in_use=True))

    assert [OLD, NEW] == await store.retired_keys()


@pytest.mark.parametrize(
    "bring",
    [
        lambda: setting(secret("A")),
        lambda: upload(secret("A"), ref=ScriptRef(ACCOUNT, "other")),
        lambda: putting(value("S")),
        lambda: making(new_collection("another"), put=(value("S"),)),
    ],
    ids=["secret", "upload", "item", "collection"],
)
async def test_a_retired_key_takes_no_new_values(store: Store, bring: Callable[[], Change]) -> None:
    """Whoever brings one, wherever to, and whoever else could; what lies under it stays, and goes on."""
    await filled(store)
    await store.commit(retiring(OLD, in_use=True))
    before = await state(store, REF)

    assert [Code.UNAVAILABLE] == [code for code, _ in await refusal(store, bring())]

    assert before == await state(store, REF)
    assert 7 == await store.count_values(ACCOUNT, OLD)
    assert [] == await refusal(store, setting(replace(secret("A"), key_id=NEW)))
    assert [] == await refusal(store, putting(replace(value("S"), sealed=None, key_id=None), amend=True))
    assert [] == await refusal(store, upload(keep=("secret_text",)))


async def test_a_value_is_not_resealed_to_a_retired_key(store: Store) -> None:
    """It would not be allowed to lie there."""
    await filled(store)
    await store.commit(retiring(NEW))
    (one, *_) = await under(store)

    assert [Code.UNAVAILABLE] == [code for code, _ in await refusal(store, resealing(anew(one)))]

    assert 7 == await store.count_values(ACCOUNT, OLD)


async def test_a_ring_s_number_only_grows(engine: Engine) -> None:
    """The greatest that there was is known, when the store is opened again too; each change has its log entry."""
    store = await engine.open()
    assert 0 == await store.ring_number()
    for number in (2, 5, 3):
        await store.commit(replace(change(audit=entry(account_id="")), ring_number=number))
    await store.close()

    store = await engine.open()
    try:
        assert 5 == await store.ring_number()
    finally:
        await store.close()


async def test_all_of_it_is_kept(engine: Engine) -> None:
    """Records and retired keys are there when the store is opened again."""
    store = await engine.open()
    await filled(store)
    await store.commit(resealing(*(anew(one) for one in await under(store))))
    await store.commit(retiring("key-0"))
    found = await under(store, NEW)
    await store.close()

    store = await engine.open()
    try:
        assert (found, ["key-0"]) == (await under(store, NEW), await store.retired_keys())
    finally:
        await store.close()


Work = Callable[[Store], Awaitable[object]]


async def test_a_closed_store_says_so(store: Store) -> None:
    """Each of these reads is refused as every other is."""
    await store.close()
    reads: list[Work] = [
        lambda store: store.keys_in_use(ACCOUNT),
        lambda store: store.count_values(ACCOUNT, OLD),
        lambda store: store.values_under(ACCOUNT, OLD),
        lambda store: store.value(ACCOUNT, "a1"),
        lambda store: store.retired_keys(),
        lambda store: store.ring_number(),
    ]
    for read in reads:
        with pytest.raises(NightsafeError) as caught:
            await read(store)
        assert Code.STORE == caught.value.code
