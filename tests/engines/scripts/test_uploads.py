"""Uploads: code, and their effect on bindings."""

import json

import msgspec
import pytest
from tests.engines.tools.changes import (
    ACCOUNT,
    OTHER_ACCOUNT,
    REF,
    code,
    editing,
    module,
    namespace,
    plain,
    removing,
    secret,
    setting,
    shown,
    stamp,
    upload,
)
from tests.engines.tools.refusals import refusal, state
from tests.engines.tools.stored import modules_of

from nightsafe.errors import Code
from nightsafe.store.interface import Store
from nightsafe.store.script_edit import BindingsUpdate, Inherit
from nightsafe.store.scripts import Binding, ScriptRef

BOTH = ("secret_text", "secret_key")


async def test_an_upload_creates_a_script(store: Store) -> None:
    """The first upload makes version 1 with the id, settings and modules that it brings."""
    new = upload(secret("S"), bodies=(b"one", b"two"), settings=b'{"a":1}', script_settings=b'{"b":2}')
    assert new.edit is not None
    assert new.edit.upload is not None

    outcome = await store.commit(new)
    script = await store.script(REF)

    assert (1, new.edit.upload.script_id) == (outcome.version, outcome.script_id)
    assert script is not None
    assert (REF, outcome.script_id, new.at, new.at) == (script.ref, script.id, script.created_on, script.modified_on)
    assert (script.version, script.live_version, script.main_module, script.source) == (1, 1, "m0.js", "api")
    assert (script.settings, script.script_settings) == (b'{"a":1}', b'{"b":2}')
    assert list(new.edit.upload.modules) == await modules_of(store, REF)


async def test_only_an_upload_sets_the_source(store: Store) -> None:
    """An upload sets the script's source; a secret write does not."""
    sources = []
    for source, new in (("wrangler", upload()), ("api", setting(secret("S"))), ("terraform", upload())):
        assert new.edit is not None
        edit = msgspec.structs.replace(new.edit, stamp=stamp(source=source))
        await store.commit(msgspec.structs.replace(new, edit=edit))
        script = await store.script(REF)
        assert script is not None
        sources.append(script.source)

    assert ["wrangler", "wrangler", "terraform"] == sources


async def test_a_later_upload_keeps_id_and_creation_time(store: Store) -> None:
    """A second upload makes the next version of the same script, with new code and settings."""
    first = upload(bodies=(b"one", b"two"))
    created = await store.commit(first)
    await store.commit(setting(secret("S")))

    second = upload(bodies=(b"three",), settings=b'{"n":3}', script_settings=b'{"t":3}')
    outcome = await store.commit(second)
    script = await store.script(REF)

    assert (3, created.script_id) == (outcome.version, outcome.script_id)
    assert script is not None
    assert (created.script_id, first.at, second.at) == (script.id, script.created_on, script.modified_on)
    assert (
        script.version,
        script.live_version,
        script.settings,
        script.script_settings,
    ) == (3, 3, b'{"n":3}', b'{"t":3}')
    assert [part.body for part in await modules_of(store, REF)] == [b"three"]


async def test_each_version_has_its_own_modules(store: Store) -> None:
    """Each version runs the code of its upload; an unknown version has no code."""
    await store.commit(upload(bodies=(b"one", b"two", b"one")))
    await store.commit(setting(secret("S")))
    await store.commit(upload(bodies=(b"three",)))

    bodies = [[part.body for part in await modules_of(store, REF, number)] for number in range(5)]

    assert bodies == [[], [b"one", b"two", b"one"], [b"one", b"two", b"one"], [b"three"], []]


async def test_the_etag_changes_only_with_the_code(store: Store) -> None:
    """Secret writes and equal uploads keep the etag; other code changes it."""
    tags = []
    for new in (upload(), setting(secret("S")), upload(), upload(bodies=(b"new",)), upload(bodies=(b"new", b""))):
        await store.commit(new)
        script = await store.script(REF)
        tags.append(script.etag if script else None)

    assert tags[0] == tags[1] == tags[2]
    assert len(set(tags)) == 3


async def test_an_upload_removes_bindings_that_it_omits(store: Store) -> None:
    """When no kind is kept, only the upload's own bindings exist afterwards."""
    await store.commit(upload(plain("OLD"), secret("S")))

    outcome = await store.commit(upload(plain("NEW")))

    assert outcome.secrets == ()
    assert [plain("NEW")] == await store.bindings(REF)


async def test_kept_kinds_stay(store: Store) -> None:
    """Bindings of a kept kind stay unchanged, with their sealed values; others are removed."""
    text, key = secret("T"), secret("K", "secret_key")
    await store.commit(upload(plain("OLD"), text, key))

    assert (text.shown,) == (await store.commit(upload(keep=("secret_text",)))).secrets
    assert [text] == await store.bindings(REF)


async def test_an_upload_replaces_kept_bindings_of_its_names(store: Store) -> None:
    """A binding of the upload replaces a kept binding of its name, of any kind."""
    await store.commit(upload(secret("A"), secret("B")))
    new = secret("B", "secret_key")

    await store.commit(upload(plain("A"), new, keep=BOTH))

    assert [plain("A"), new] == await store.bindings(REF)


async def test_inherited_bindings_stay(store: Store) -> None:
    """Bindings inherited under their own name of any kind stay unchanged."""
    old, kv = secret("S"), plain("KV", "kv_namespace")
    await store.commit(upload(old, kv, plain("GONE")))

    outcome = await store.commit(upload(inherits=(Inherit("S", "S"), Inherit("KV", "KV")), strict=True))

    assert (old.shown,) == outcome.secrets
    assert [kv, old] == await store.bindings(REF)


async def test_a_plain_binding_is_inherited_under_another_name(store: Store) -> None:
    """The copy's `shown` has the new name and all other fields unchanged; the old name is removed unless kept."""
    numbers = b'{"type":"json","name":"OLD","json":{"name":"OLD","n":12345678901234567890.10}}'
    await store.commit(upload(Binding("OLD", "json", numbers), plain("TEXT")))

    await store.commit(upload(inherits=(Inherit("NEW", "OLD"), Inherit("COPY", "TEXT")), keep=("plain_text",)))

    found = {binding.name: binding for binding in await store.bindings(REF)}
    assert {"COPY", "NEW", "TEXT"} == set(found)
    assert json.loads(numbers.replace(b'"name":"OLD","json"', b'"name":"NEW","json"')) == json.loads(
        found["NEW"].shown
    )
    assert b"12345678901234567890.10" in found["NEW"].shown
    assert json.loads(shown("COPY", "plain_text", text="x")) == json.loads(found["COPY"].shown)


async def test_an_absent_binding_is_not_inherited(store: Store) -> None:
    """An absent binding is ignored."""
    await store.commit(upload(inherits=(Inherit("A", "A"),)))

    assert await store.bindings(REF) == []


async def test_strict_inheritance_refuses_absent_bindings(store: Store) -> None:
    """With `strict` each absent binding is a problem, and the upload is refused."""
    await store.commit(upload(plain("THERE")))
    before = await state(store, REF)
    wanted = (Inherit("A", "A"), Inherit("THERE", "THERE"), Inherit("B", "X"))

    problems = await refusal(store, upload(inherits=wanted, strict=True))

    assert problems == [(Code.INHERIT, "A"), (Code.INHERIT, "B")]
    assert before == await state(store, REF)


@pytest.mark.parametrize("strict", [True, False])
async def test_a_secret_is_never_inherited_under_another_name(store: Store, *, strict: bool) -> None:
    """A sealed value is bound to its name, so inheriting it under another name is refused."""
    await store.commit(upload(secret("S")))

    problems = await refusal(store, upload(inherits=(Inherit("T", "S"),), strict=strict))

    assert problems == [(Code.INHERIT_RENAMED, "T")]


async def test_set_wins_over_inherit(store: Store) -> None:
    """When an upload both sets and inherits a name, it is set."""
    await store.commit(upload(secret("S")))
    new = secret("S")

    await store.commit(upload(new, inherits=(Inherit("S", "S"),)))

    assert [new] == await store.bindings(REF)


async def test_an_upload_may_drop_secrets(store: Store) -> None:
    """A dropped secret is not kept."""
    kept = secret("B")
    await store.commit(upload(secret("A"), kept))

    await store.commit(upload(drop=("A",), keep=BOTH))

    assert [kept] == await store.bindings(REF)


async def test_uploads_past_the_limit_are_refused(store: Store) -> None:
    """An upload that exceeds the limit on variables is refused, and creates nothing."""
    many = [plain(f"P{number}") for number in range(3)]

    assert await refusal(store, upload(*many, most=2)) == [(Code.TOO_MANY_BINDINGS, "3")]
    assert await store.script(REF) is None
    assert await refusal(store, upload(*many, most=3)) == []
    assert await refusal(store, upload(*many, most=2)) == []
    assert await refusal(store, upload(*many, secret("S"), most=3)) == [(Code.TOO_MANY_BINDINGS, "4")]


async def test_scripts_are_listed_by_name(store: Store) -> None:
    """Scripts of one account and namespace are listed by name."""
    here = [ScriptRef(ACCOUNT, name) for name in ("b", "a", "C")]
    elsewhere = [ScriptRef(ACCOUNT, "d", "ns"), ScriptRef(OTHER_ACCOUNT, "e")]
    await store.commit(namespace("ns"))
    for ref in (*here, *elsewhere):
        await store.commit(upload(ref=ref))

    assert [script.ref.name for script in await store.scripts(ACCOUNT)] == ["C", "a", "b"]
    assert elsewhere[:1] == [script.ref for script in await store.scripts(ACCOUNT, "ns")]
    assert await store.script(here[0]) in await store.scripts(ACCOUNT)
    assert await store.scripts("0" * 32) == []


async def test_removal_removes_everything_of_a_script(store: Store) -> None:
    """A removed script is gone from every read; other scripts keep everything, shared code included."""
    other = ScriptRef(ACCOUNT, "other")
    created = await store.commit(upload(secret("S")))
    await store.commit(upload(secret("S"), ref=other))
    await store.commit(setting(secret("S")))
    kept = await modules_of(store, other), await store.bindings(other)

    outcome = await store.commit(removing())

    assert (0, created.script_id, ()) == (outcome.version, outcome.script_id, outcome.secrets)
    assert await store.script(REF) is None
    assert [await store.versions(REF), await store.deployments(REF), await modules_of(store, REF)] == [[], [], []]
    assert [await store.bindings(REF), await store.bindings(REF, 1)] == [[], []]
    assert (await store.secrets(REF), await store.secret(REF, "S")) == (None, None)
    assert kept == (await modules_of(store, other), await store.bindings(other))
    assert [(Code.SCRIPT_NOT_FOUND, REF.name)] == await refusal(store, removing())


async def test_a_removed_name_is_free_at_once(store: Store) -> None:
    """The next script of that name starts at version 1, with a new id and without the old bindings."""
    old = await store.commit(upload(secret("S")))
    await store.commit(setting(secret("T")))
    await store.commit(removing())

    new = await store.commit(upload(plain("P"), keep=BOTH))

    assert new.version == 1
    assert old.script_id != new.script_id
    assert [plain("P")] == await store.bindings(REF, 1)
    assert len(await store.versions(REF)) == 1


async def test_removal_keeps_equal_code_of_another_account(store: Store) -> None:
    """Removing a script leaves another account's script with the same code unchanged."""
    other = ScriptRef(OTHER_ACCOUNT, "worker")
    await store.commit(upload())
    await store.commit(upload(ref=other))

    await store.commit(removing())

    assert [module(b"export default {}")] == await modules_of(store, other)


async def test_an_uploads_outcome_has_script_and_version(store: Store) -> None:
    """The outcome of an upload holds the script and the newest version as reads return them."""
    for new in (upload(secret("S")), upload(bodies=(b"two",), deployed=False)):
        outcome = await store.commit(new)

        assert outcome.script is not None
        assert (await store.script(REF), await store.version(REF)) == (outcome.script, outcome.newest)
        assert outcome.deployment is None


async def test_an_upload_without_create_needs_the_script(store: Store) -> None:
    """Without `create` an upload to an absent script is refused, and an upload to an existing one is accepted."""
    absent = editing(stamp=stamp(), upload=code(b"one", create=False))

    assert [(Code.SCRIPT_NOT_FOUND, REF.name)] == await refusal(store, absent)
    assert await store.script(REF) is None
    await store.commit(upload())
    assert (await store.commit(absent)).version == 2


async def test_an_upload_without_bindings_update_keeps_bindings(store: Store) -> None:
    """Without an update of all bindings, bindings that are neither set nor dropped stay."""
    kept, text = secret("KEPT"), plain("TEXT")
    await store.commit(upload(kept, text, secret("GONE")))
    new = secret("NEW")

    taken = editing(stamp=stamp(), upload=code(b"two"), set=(secret("TEXT"),))
    assert [(Code.BINDING_NAME_TAKEN, "TEXT")] == await refusal(store, taken)
    await store.commit(editing(stamp=stamp(), upload=code(b"two"), set=(new,), drop=("GONE",)))

    assert [kept, new, text] == await store.bindings(REF)


async def test_a_bindings_update_needs_no_code(store: Store) -> None:
    """An update of all bindings makes a version with the code of the version before."""
    kept, old = secret("KEPT"), plain("OLD")
    await store.commit(upload(kept, old, secret("K", "secret_key"), bodies=(b"one",)))
    bindings_update = BindingsUpdate(keep=frozenset({"secret_text"}), inherits=(Inherit("NEW", "OLD"),))

    outcome = await store.commit(editing(stamp=stamp(), set=(plain("KEPT2"),), bindings_update=bindings_update))

    assert outcome.version == 2
    assert ["KEPT", "KEPT2", "NEW"] == [binding.name for binding in await store.bindings(REF)]
    assert [b"one"] == [part.body for part in await modules_of(store, REF)]
    assert (await store.script(REF), await store.version(REF)) == (outcome.script, outcome.newest)


async def test_a_bindings_update_that_alters_nothing_writes_nothing(store: Store) -> None:
    """An update that alters no binding makes no version, and the outcome holds the present script."""
    await store.commit(upload(secret("S"), plain("P")))
    before = await state(store, REF)

    outcome = await store.commit(
        editing(stamp=stamp(), set=(plain("P"),), bindings_update=BindingsUpdate(keep=frozenset({"secret_text"})))
    )

    assert outcome.version == 0
    assert (await store.script(REF), await store.version(REF)) == (outcome.script, outcome.newest)
    assert before == await state(store, REF)


async def test_an_upload_needs_its_dispatch_namespace(store: Store) -> None:
    """A script is created only in an existing dispatch namespace of the same account."""
    ref = ScriptRef(ACCOUNT, "worker", "ns")
    await store.commit(namespace("ns", OTHER_ACCOUNT))
    await store.commit(namespace("other"))

    assert [(Code.NAMESPACE_NOT_FOUND, "ns")] == await refusal(store, upload(ref=ref))
    assert await store.script(ref) is None
    await store.commit(namespace("ns"))
    assert (await store.commit(upload(ref=ref))).version == 1
    assert (await store.commit(upload(ref=ref))).version == 2
    absent = editing(ref=ScriptRef(ACCOUNT, "worker", "absent"), stamp=stamp(), upload=code(b"1", create=False))
    assert [(Code.SCRIPT_NOT_FOUND, "worker")] == await refusal(store, absent)


async def test_scripts_of_a_namespace_are_counted(store: Store) -> None:
    """The count covers one account and dispatch namespace, and follows creation and removal."""
    refs = [ScriptRef(ACCOUNT, name, "ns") for name in ("a", "b")]
    await store.commit(namespace("ns"))
    for ref in (*refs, REF):
        await store.commit(upload(ref=ref))

    counts = [await store.count_scripts(*where) for where in ((ACCOUNT, "ns"), (ACCOUNT, "x"), (OTHER_ACCOUNT, "ns"))]
    await store.commit(removing(refs[0]))

    assert [2, 0, 0] == counts
    assert await store.count_scripts(ACCOUNT, "ns") == 1
