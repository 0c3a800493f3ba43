"""Sealed values: reading them by key, replacing their records, and retiring keys."""

import os
from base64 import b64encode
from collections.abc import Awaitable, Callable

import msgspec
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
    removing,
    secret,
    setting,
    stamp,
    upload,
)
from tests.engines.tools.collections import held, holding, making, new_collection, open_value, putting, value
from tests.engines.tools.engine import Engine
from tests.engines.tools.refusals import refusal, state
from tests.stores import SIGNING_KEY

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.proven_record import ProvenRecord, put_digest
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.store.changes import Change
from nightsafe.store.collections import Kind
from nightsafe.store.identities import Account
from nightsafe.store.interface import Store
from nightsafe.store.scripts import Binding, ScriptRef
from nightsafe.store.sealed_values import Resealed, Retirement, StoredValue

OLD, NEW = "key-1", "key-2"
INSIDE = ScriptRef(ACCOUNT, "worker", "space")


def resealing(*values: Resealed, account_id: str = ACCOUNT) -> Change:
    """Return a change that replaces sealed records."""
    return replace(change(audit=entry("resealed", account_id)), reseal=values)


def another_record(one: StoredValue, key_id: str = NEW) -> Resealed:
    """Return another sealed value for a value that was read."""
    return Resealed(mark=one.mark, before=one.sealed, sealed=os.urandom(200), key_id=key_id, digest=os.urandom(32))


def retiring(key_id: str, *, in_use: bool = False) -> Change:
    """Return a change that retires a key."""
    return replace(change(audit=entry(account_id="")), retire=Retirement(key_id=key_id, in_use=in_use))


async def values_of_key(store: Store, key_id: str = OLD, account_id: str = ACCOUNT) -> list[StoredValue]:
    """Return every value under a key, read page by page."""
    found: list[StoredValue] = []
    while page := await store.values_under(account_id, key_id, after=found[-1].mark if found else "", limit=2):
        found += page
    return found


async def fill_store(store: Store) -> None:
    """Store values in every kind of place: newest and older versions, and items of three kinds of collection."""
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


async def test_every_sealed_value_is_listed_with_its_place(store: Store) -> None:
    """Every secret of the account is returned once, with its place; other bindings and other accounts are not."""
    await fill_store(store)

    found = await values_of_key(store)

    places = [
        (stored.collection, stored.namespace, stored.owner, stored.environment, stored.name, stored.kind)
        for stored in found
    ]
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
    assert len(found) == len({stored.mark for stored in found}) == len({stored.sealed for stored in found})
    assert {(ACCOUNT, OLD)} == {(stored.account_id, stored.key_id) for stored in found}
    older = [binding.sealed for binding in await store.bindings(REF, 1) if binding.sealed is not None]
    assert set(older) <= {stored.sealed for stored in found}
    assert {item.shown for item in await held(store) if item.sealed} <= {stored.shown for stored in found}


async def test_a_value_is_read_by_its_mark(store: Store) -> None:
    """A value read by its mark is the same as in its page; other accounts and other marks get None."""
    await fill_store(store)

    found = await values_of_key(store)
    for stored in found:
        assert stored == await store.value(ACCOUNT, stored.mark)
        assert None is await store.value(OTHER_ACCOUNT, stored.mark)
    await store.commit(removing())
    left = [await store.value(ACCOUNT, stored.mark) for stored in found]
    assert await values_of_key(store) == [stored for stored in left if stored is not None]
    assert None in left


async def test_counts_and_keys_cover_one_account(store: Store) -> None:
    """Counts and lists of keys cover one account; an account without values gets 0 and an empty list."""
    assert ([], 0) == (await store.keys_in_use(ACCOUNT), await store.count_values(ACCOUNT, OLD))
    await fill_store(store)
    await store.commit(putting(value("T", key_id=NEW)))

    assert [OLD, NEW] == await store.keys_in_use(ACCOUNT)
    assert [OLD] == await store.keys_in_use(OTHER_ACCOUNT)
    assert (7, 1) == (await store.count_values(ACCOUNT, OLD), await store.count_values(ACCOUNT, NEW))
    assert (1, 0) == (await store.count_values(OTHER_ACCOUNT, OLD), await store.count_values(OTHER_ACCOUNT, NEW))


async def test_a_count_covers_more_rows_than_one_turn(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A count includes all values, even when there are more than one turn counts."""
    monkeypatch.setattr("nightsafe.store.sqlite.reads.sealed_values._ROWS_A_TURN", 4)
    await store.commit(upload(*(secret(f"S{number}") for number in range(8))))
    assert 8 == await store.count_values(ACCOUNT, OLD)

    await store.commit(setting(secret("MORE")))

    assert 9 == await store.count_values(ACCOUNT, OLD)


async def test_a_page_is_limited_by_values_and_bytes(store: Store) -> None:
    """A page is limited by its number of values and by their bytes, but always has at least one value."""
    sizes = (100, 100, 1000, 100)
    await store.commit(upload(*(secret(f"S{at}", sealed=os.urandom(size)) for at, size in enumerate(sizes))))

    async def page(limit: int = 100, max_bytes: int = 1 << 20) -> list[int]:
        """Return the lengths of the records on the first page."""
        found = await store.values_under(ACCOUNT, OLD, limit=limit, max_bytes=max_bytes)
        return [len(stored.sealed) for stored in found]

    assert [100] == await page(limit=1)
    assert [100, 100, 1000] == await page(max_bytes=201)
    assert [100, 100] == await page(max_bytes=200)
    assert [100] == await page(max_bytes=1)


async def test_resealing_changes_only_record_and_key(store: Store) -> None:
    """Resealing changes only the record and the key, not a version, a time or `shown`; it writes one log entry.

    The new records keep their version or time, and their proofs are of what the entry states.
    """
    await fill_store(store)
    before, log = await read_everything(store), await store.audit_entries(ACCOUNT, limit=1000)
    found = await values_of_key(store)
    new = [another_record(stored) for stored in found]

    outcome = await store.commit(resealing(*new))

    assert tuple(resealed.mark for resealed in new) == outcome.resealed
    assert (0, None, "") == (outcome.version, outcome.script, outcome.script_id)
    assert [] == await values_of_key(store)
    records = {resealed.before: resealed.sealed for resealed in new}
    now = await values_of_key(store, NEW)
    assert [
        replace(stored, sealed=records[stored.sealed], record=stored_now.record, key_id=NEW)
        for stored, stored_now in zip(found, now, strict=True)
    ] == now
    stated = [
        put_digest(resealed.digest, ProvenRecord.parse(stored.record).since)
        for resealed, stored in zip(new, found, strict=True)
    ]
    for digest, stored in zip(stated, now, strict=True):
        record = ProvenRecord.parse(stored.record)
        assert record.sealed == stored.sealed
        assert VerifyKeys([SIGNING_KEY.verify_key]).verify_statement(digest, record.proof)
    assert with_other_records(before, records) == await read_everything(store)
    (written,) = (await store.audit_entries(ACCOUNT, limit=1000))[len(log) :]
    entry_fields = msgspec.json.decode(written[1].entry)
    statements = entry_fields.pop("written")["statements"]
    assert [["resealed", b64encode(digest).decode()] for digest in stated] == [named[:2] for named in statements]
    assert len(stated) == len({place for *_, place in statements})
    assert msgspec.json.decode(resealing(*new).audit.entry) == entry_fields
    assert 1 == await store.count_values(OTHER_ACCOUNT, OLD)


async def read_everything(store: Store) -> list[Binding | object]:
    """Return read_everything that reads show of scripts and collections."""
    told: list[Binding | object] = []
    for ref in (REF, INSIDE):
        script = await store.script(ref)
        assert script is not None
        told += [script, *await store.versions(ref), *await store.deployments(ref)]
        told += [binding for number in range(1, script.version + 1) for binding in await store.bindings(ref, number)]
    for kind, name in ((Kind.SECRETS_STORE, "main"), (Kind.PAGES_PROJECT, "site"), (Kind.SCRIPT, REF.name)):
        told += [await store.collection(ACCOUNT, kind, name), *await held(store, name, kind)]
    return told


def with_other_records(told: list[Binding | object], records: dict[bytes, bytes]) -> list[object]:
    """Return the same with other records, under the other key."""
    return [
        replace(row, sealed=records[sealed], key_id=NEW)  # type: ignore[type-var]
        if (sealed := getattr(row, "sealed", None)) is not None
        else row
        for row in told
    ]


async def test_versions_share_a_secret_after_resealing(store: Store) -> None:
    """Two versions that share a value still share it after it was resealed."""
    first, second = stamp("upload"), stamp("upload")
    await store.commit(upload(secret("A"), made_by=first))
    await store.commit(upload(keep=("secret_text",), made_by=second))

    await store.commit(resealing(*(another_record(stored) for stored in await values_of_key(store))))

    assert [] == await refusal(store, deploying((first.version_id, 100.0)))


async def test_resealing_skips_changed_values(store: Store) -> None:
    """A value that was replaced or dropped since it was read is skipped; the other values are resealed."""
    await store.commit(upload(secret("A"), secret("B")))
    await store.commit(making(new_collection(), put=(value("C"), value("D"))))
    read = await values_of_key(store)
    await store.commit(setting(secret("A")))
    await store.commit(putting(drop=(("", "C"),)))

    outcome = await store.commit(resealing(*(another_record(stored) for stored in read)))

    done = [stored.name for stored in read if stored.mark in outcome.resealed]
    assert ["B", "D"] == done
    assert ["A", "A"] == [stored.name for stored in await values_of_key(store)]


async def test_resealing_nothing_writes_nothing(store: Store) -> None:
    """A change that reseals nothing writes no log entry; an account cannot reseal another's values."""
    await fill_store(store)
    before = await state(store, REF)
    (one, *_) = await values_of_key(store)

    wrong = replace(another_record(one), before=os.urandom(200))
    for new in (resealing(wrong), resealing(another_record(one), account_id=OTHER_ACCOUNT)):
        assert () == (await store.commit(new)).resealed

    assert before == await state(store, REF)
    assert 1 == len(await store.audit_entries(OTHER_ACCOUNT, limit=1000))


@pytest.mark.parametrize("mark", ["", "a", "z1", "a-1", "a1x", "a\u0661", "a" + "9" * 40])
async def test_an_invalid_mark_is_refused(store: Store, mark: str) -> None:
    """An invalid mark is refused in a change, in a read, and as the start of a page (which may be empty)."""
    await fill_store(store)
    (one, *_) = await values_of_key(store)

    assert [Code.INVALID] == [
        code for code, _ in await refusal(store, resealing(replace(another_record(one), mark=mark)))
    ]
    if mark:
        with pytest.raises(NightsafeError) as caught:
            await store.values_under(ACCOUNT, OLD, after=mark)
        assert Code.INVALID == caught.value.code
    with pytest.raises(NightsafeError) as caught:
        await store.value(ACCOUNT, mark)
    assert Code.INVALID == caught.value.code


async def test_a_key_in_use_is_not_retired(store: Store) -> None:
    """A key that seals a value in any place or account is not retired, unless `in_use` allows it."""
    await fill_store(store)
    assert [(Code.KEY_IN_USE, OLD)] == await refusal(store, retiring(OLD))
    for account in (ACCOUNT, OTHER_ACCOUNT):
        for stored in await values_of_key(store, account_id=account):
            assert [(Code.KEY_IN_USE, OLD)] == await refusal(store, retiring(OLD))
            await store.commit(resealing(another_record(stored), account_id=account))
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
    """A retired key is refused for new values everywhere; values that are already under it stay usable."""
    await fill_store(store)
    await store.commit(retiring(OLD, in_use=True))
    before = await state(store, REF)

    assert [Code.UNAVAILABLE] == [code for code, _ in await refusal(store, bring())]

    assert before == await state(store, REF)
    assert 7 == await store.count_values(ACCOUNT, OLD)
    assert [] == await refusal(store, setting(replace(secret("A"), key_id=NEW)))
    assert [] == await refusal(store, putting(replace(value("S"), sealed=None, key_id=None), amend=True))
    assert [] == await refusal(store, upload(keep=("secret_text",)))


async def test_a_value_is_not_resealed_to_a_retired_key(store: Store) -> None:
    """Resealing to a retired key is refused."""
    await fill_store(store)
    await store.commit(retiring(NEW))
    (one, *_) = await values_of_key(store)

    assert [Code.UNAVAILABLE] == [code for code, _ in await refusal(store, resealing(another_record(one)))]

    assert 7 == await store.count_values(ACCOUNT, OLD)


async def test_the_greatest_ring_number_is_kept(engine: Engine) -> None:
    """The greatest ring number is kept, also when the store is opened again."""
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


async def test_records_and_retired_keys_survive_reopening(engine: Engine) -> None:
    """Records and retired keys are kept when the store is opened again."""
    store = await engine.open()
    await fill_store(store)
    await store.commit(resealing(*(another_record(stored) for stored in await values_of_key(store))))
    await store.commit(retiring("key-0"))
    found = await values_of_key(store, NEW)
    await store.close()

    store = await engine.open()
    try:
        assert (found, ["key-0"]) == (await values_of_key(store, NEW), await store.retired_keys())
    finally:
        await store.close()


Work = Callable[[Store], Awaitable[object]]


async def test_reads_of_a_closed_store_are_refused(store: Store) -> None:
    """Each read of a closed store is refused with STORE."""
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
