"""Settings of versions, of scripts, and triggers."""

import pytest
from tests.engines.tools.changes import REF, code, editing, plain, secret, setting, stamp, upload
from tests.engines.tools.refusals import refusal, state
from tests.engines.tools.stored import modules_of

from nightsafe.errors import Code
from nightsafe.store.interface import Store
from nightsafe.store.script_edit import SettingsUpdate
from nightsafe.store.scripts import ScriptRef

MERGES = [
    (b'{"a":1,"b":{"x":1}}', b'{"b":{"y":2}}', b'{"a":1,"b":{"y":2}}'),
    (b'{"a":1,"b":2}', b'{"a":null}', b'{"b":2}'),
    (b'{"a":1}', b'{"c":[1,null]}', b'{"a":1,"c":[1,null]}'),
    (b'{"n":12345678901234567890.10}', b'{"o":1.0}', b'{"n":12345678901234567890.10,"o":1.0}'),
    (b'{"a":{"b":null}}', b'{"c":"null"}', b'{"a":{"b":null},"c":"null"}'),
    (b'{"a":1}', b'{"a":null,"b":null}', b"{}"),
]
"""Settings, a merge over them, and the result."""


async def test_new_settings_make_a_version(store: Store) -> None:
    """New settings make a version with the code and bindings of the version before."""
    await store.commit(upload(secret("S"), settings=b'{"a":1}', bodies=(b"one",)))
    first = await store.version(REF)
    assert first is not None

    outcome = await store.commit(editing(stamp=stamp("settings"), settings=SettingsUpdate(b'{"b":2}')))

    assert outcome.newest is not None
    assert (2, b'{"b":2}', "settings") == (outcome.version, outcome.newest.settings, outcome.newest.triggered_by)
    assert (first.etag, first.main_module) == (outcome.newest.etag, outcome.newest.main_module)
    assert (await store.script(REF), await store.version(REF)) == (outcome.script, outcome.newest)
    assert await modules_of(store, REF, 1) == await modules_of(store, REF, 2) == await modules_of(store, REF)
    assert await store.bindings(REF, 1) == await store.bindings(REF, 2)
    assert first == await store.version(REF, first.id)


async def test_later_versions_keep_the_settings(store: Store) -> None:
    """A change without settings keeps them, and the code is the last upload's."""
    await store.commit(upload(bodies=(b"one",), settings=b'{"n":1}'))
    await store.commit(editing(stamp=stamp(), settings=SettingsUpdate(b'{"n":2}')))
    await store.commit(setting(secret("S")))
    await store.commit(editing(stamp=stamp(), settings=SettingsUpdate(b'{"n":3}')))
    await store.commit(editing(stamp=stamp(), upload=code(b"two")))
    await store.commit(editing(stamp=stamp(), upload=code(b"three"), settings=SettingsUpdate(b'{"m":4}', merge=True)))

    versions = reversed(await store.versions(REF))
    bodies = [[part.body for part in await modules_of(store, REF, number)] for number in range(1, 7)]

    expected = [b'{"n":1}', b'{"n":2}', b'{"n":2}', b'{"n":3}', b'{"n":3}', b'{"n":3,"m":4}']
    assert expected == [version.settings for version in versions]
    assert [[b"one"]] * 4 + [[b"two"], [b"three"]] == bodies


@pytest.mark.parametrize(("old", "new", "expected"), MERGES)
async def test_a_merge_is_member_by_member(store: Store, old: bytes, new: bytes, expected: bytes) -> None:
    """At every level, null members are removed, others are replaced whole, and the rest stays byte for byte."""
    await store.commit(upload(settings=old, script_settings=old))
    await store.commit(editing(triggers=old))

    await store.commit(
        editing(
            stamp=stamp(),
            settings=SettingsUpdate(new, merge=True),
            script_settings=SettingsUpdate(new, merge=True),
            triggers=new,
        )
    )

    script = await store.script(REF)
    assert script is not None
    assert [expected] * 3 == [script.settings, script.script_settings, script.triggers]


async def test_a_merge_over_older_settings_is_refused(store: Store) -> None:
    """A merge over older settings is refused with UNAVAILABLE and changes nothing."""
    old = b'{"tags":["x"]}'
    await store.commit(upload(script_settings=old))
    await store.commit(editing(script_settings=SettingsUpdate(b'{"tags":["x","y"]}', merge=True, expected=old)))
    before = await state(store, REF)

    late = editing(
        script_settings=SettingsUpdate(b'{"tags":["x","z"]}', merge=True, expected=old), triggers=b'{"a":1}'
    )
    refused = await refusal(store, late)

    assert [Code.UNAVAILABLE] == [code for code, _ in refused]
    assert before == await state(store, REF)


async def test_settings_without_merge_are_replaced_whole(store: Store) -> None:
    """Without `merge` the settings are replaced by the body, byte for byte, nulls included."""
    body = b'{ "b" : null }'
    await store.commit(upload(settings=b'{"a":1}', script_settings=b'{"a":1}'))

    await store.commit(editing(stamp=stamp(), settings=SettingsUpdate(body), script_settings=SettingsUpdate(body)))

    script = await store.script(REF)
    assert script is not None
    assert (script.settings, script.script_settings) == (body, body)


async def test_script_settings_make_no_version(store: Store) -> None:
    """Script settings and triggers change without a version, with an audit entry."""
    created = upload(settings=b'{"n":1}', script_settings=b'{"tags":["x"]}')
    await store.commit(created)
    versions = await store.versions(REF), await store.deployments(REF)
    edit = editing(script_settings=SettingsUpdate(b'{"logpush":true}', merge=True), triggers=b'{"subdomain":true}')

    outcome = await store.commit(edit)

    script = await store.script(REF)
    assert script is not None
    assert (0, script, await store.version(REF)) == (outcome.version, outcome.script, outcome.newest)
    assert (created.at, edit.at) == (script.created_on, script.modified_on)
    assert (script.settings, script.script_settings) == (b'{"n":1}', b'{"tags":["x"],"logpush":true}')
    assert (script.triggers, script.version, script.live_version) == (b'{"subdomain":true}', 1, 1)
    assert versions == (await store.versions(REF), await store.deployments(REF))
    assert len(await store.audit_entries(REF.account_id)) == 2


async def test_an_unneeded_stamp_is_ignored(store: Store) -> None:
    """A stamp that is not needed is ignored."""
    await store.commit(upload())

    outcome = await store.commit(
        editing(stamp=stamp(), script_settings=SettingsUpdate(b'{"a":1}'), triggers=b'{"b":1}')
    )

    assert (outcome.version, len(await store.versions(REF))) == (0, 1)


async def test_an_upload_keeps_settings_that_it_omits(store: Store) -> None:
    """An upload without script settings keeps them, and every upload keeps the triggers."""
    await store.commit(upload(script_settings=b'{"a":1}'))
    await store.commit(editing(triggers=b'{"s":1}'))
    await store.commit(editing(stamp=stamp(), upload=code(b"two")))
    kept = await store.script(REF)
    await store.commit(upload(script_settings=b'{"b":1}'))
    replaced = await store.script(REF)

    assert kept is not None
    assert replaced is not None
    assert (kept.script_settings, replaced.script_settings) == (b'{"a":1}', b'{"b":1}')
    assert (kept.triggers, replaced.triggers) == (b'{"s":1}', b'{"s":1}')


async def test_a_new_script_has_empty_settings(store: Store) -> None:
    """A script created without settings has three empty objects, and a merge starts from these."""
    await store.commit(editing(stamp=stamp(), upload=code(b"one")))
    merge = SettingsUpdate(b'{"a":1,"b":null}', merge=True)
    other = ScriptRef(REF.account_id, "other")
    await store.commit(
        editing(other, stamp=stamp(), upload=code(b"1"), settings=merge, script_settings=merge, triggers=merge.body)
    )

    empty, merged = await store.script(REF), await store.script(other)

    assert empty is not None
    assert merged is not None
    assert [b"{}"] * 3 == [empty.settings, empty.script_settings, empty.triggers]
    assert [b'{"a":1}'] * 3 == [merged.settings, merged.script_settings, merged.triggers]


async def test_settings_that_alter_nothing_write_nothing(store: Store) -> None:
    """Equal settings make no version and no audit entry, and the outcome holds the present script."""
    same = b'{"a":1,"b":{"c":2}}'
    await store.commit(upload(plain("P"), settings=same, script_settings=same))
    await store.commit(editing(triggers=same))
    before, generation = await state(store, REF), store.generation()
    edits = [
        editing(stamp=stamp(), settings=SettingsUpdate(same), script_settings=SettingsUpdate(same), triggers=same),
        editing(stamp=stamp(), settings=SettingsUpdate(b'{"b":{"c":2},"x":null}', merge=True)),
        editing(script_settings=SettingsUpdate(b'{ "b":{"c":2}, "a":1 }')),
        editing(triggers=b"{}"),
    ]

    outcomes = [await store.commit(edit) for edit in edits]

    assert [(0, await store.script(REF), await store.version(REF))] * 4 == [
        (outcome.version, outcome.script, outcome.newest) for outcome in outcomes
    ]
    assert before == await state(store, REF)
    assert generation == store.generation()


async def test_settings_of_an_absent_script_are_refused(store: Store) -> None:
    """Settings of an absent script are refused."""
    merge = SettingsUpdate(b'{"a":1}', merge=True)
    edits = [
        editing(stamp=stamp(), settings=merge),
        editing(script_settings=merge),
        editing(triggers=b'{"a":1}'),
        editing(stamp=stamp(), always=True),
    ]

    assert [[(Code.SCRIPT_NOT_FOUND, REF.name)]] * 4 == [await refusal(store, edit) for edit in edits]


async def test_settings_that_must_be_live_are_refused_over_undeployed_code(store: Store) -> None:
    """Version settings that must be live are refused with their code; script settings are accepted in any state."""
    await store.commit(upload(deployed=False))
    merge = SettingsUpdate(b'{"a":1}', merge=True)

    edit = editing(stamp=stamp(), settings=merge, must_be_live=Code.SETTINGS_NOT_LIVE)

    assert [(Code.SETTINGS_NOT_LIVE, REF.name)] == await refusal(store, edit)
    assert await refusal(store, editing(script_settings=merge)) == []


async def test_a_refused_edit_leaves_every_setting(store: Store) -> None:
    """When the bindings of an edit are refused, none of its settings are applied."""
    await store.commit(upload(plain("P")))
    before = await state(store, REF)

    merge = SettingsUpdate(b'{"a":1}', merge=True)
    edit = editing(stamp=stamp(), set=(secret("P"),), settings=merge, script_settings=merge, triggers=merge.body)

    assert [(Code.BINDING_NAME_TAKEN, "P")] == await refusal(store, edit)
    assert before == await state(store, REF)
