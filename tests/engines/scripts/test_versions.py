"""Versions: their numbers, their contents, and how they are found."""

import os

from msgspec.structs import replace
from tests.engines.tools.changes import (
    ACCOUNT,
    OTHER_ACCOUNT,
    REF,
    dropping,
    editing,
    namespace,
    plain,
    removing,
    secret,
    setting,
    stamp,
    upload,
)
from tests.engines.tools.refusals import refusal, state
from tests.engines.tools.stored import modules_of

from nightsafe.errors import Code
from nightsafe.store.interface import Store
from nightsafe.store.script_edit import SettingsUpdate
from nightsafe.store.scripts import ScriptRef


async def test_versions_and_deployments_are_newest_first(store: Store) -> None:
    """Each change made one version and one deployment of it at 100 %, as its stamp says."""
    changes = [upload(), setting(secret("S")), dropping("S")]
    for new in changes:
        await store.commit(new)

    versions, deployments = await store.versions(REF), await store.deployments(REF)

    stamps = [(new.at, new.edit.stamp) for new in reversed(changes) if new.edit and new.edit.stamp]
    assert [(3, "secret"), (2, "secret"), (1, "upload")] == [(one.number, one.triggered_by) for one in versions]
    assert [(made.version_id, at, made.author_email, made.author_id, made.source) for at, made in stamps] == [
        (v.id, v.created_on, v.author_email, v.author_id, v.source) for v in versions
    ]
    assert [
        (made.deployment_id, at, made.author_email, made.author_id, made.source, made.triggered_by)
        for at, made in stamps
    ] == [(d.id, d.created_on, d.author_email, d.author_id, d.source, d.triggered_by) for d in deployments]
    assert [((made.version_id, 100.0),) for _, made in stamps] == [deployment.versions for deployment in deployments]
    assert [version.annotations for version in versions] == [b"{}"] * 3
    assert [deployment.annotations for deployment in deployments] == [b"{}"] * 3


async def test_each_version_has_its_code_and_settings(store: Store) -> None:
    """Each version returns its own main module, etag and settings."""
    await store.commit(upload(settings=b'{"n":1}'))
    await store.commit(setting(secret("S")))
    await store.commit(upload(bodies=(b"two",), settings=b'{"n":2}'))

    third, second, first = await store.versions(REF)

    assert [b'{"n":1}', b'{"n":1}', b'{"n":2}'] == [first.settings, second.settings, third.settings]
    assert first.etag == second.etag != third.etag
    assert {"m0.js"} == {version.main_module for version in (first, second, third)}
    script = await store.script(REF)
    assert script is not None
    assert (script.etag, script.settings) == (third.etag, third.settings)


async def test_a_version_is_found_by_its_uuid(store: Store) -> None:
    """Each version is found by its own id, the newest without an id, and none by an unknown id."""
    for new in (upload(), setting(secret("A")), setting(secret("B"))):
        await store.commit(new)

    versions = await store.versions(REF)

    assert versions == [await store.version(REF, version.id) for version in versions]
    assert versions[0] == await store.version(REF)
    assert await store.version(REF, os.urandom(16)) is None


async def test_a_version_is_found_in_its_own_script_only(store: Store) -> None:
    """Another script's version id finds nothing, and neither does any id in an absent script."""
    others = [ScriptRef(ACCOUNT, "other"), ScriptRef(OTHER_ACCOUNT, REF.name)]
    await store.commit(upload())
    [version] = await store.versions(REF)
    await store.commit(upload(ref=others[0]))

    assert [None, None] == [await store.version(ref, version.id) for ref in others]
    assert await store.version(others[1]) is None
    assert await store.versions(others[1]) == []


async def test_a_script_is_found_by_its_tag(store: Store) -> None:
    """A script is found by its id in its own account, if it is outside every dispatch namespace."""
    inside = ScriptRef(REF.account_id, "worker", "space")
    await store.commit(namespace("space"))
    for ref in (REF, inside):
        await store.commit(upload(ref=ref))
    one, other = await store.script(REF), await store.script(inside)
    assert one is not None
    assert other is not None

    assert one == await store.script_by_id(ACCOUNT, one.id)
    for account, wanted in ((OTHER_ACCOUNT, one.id), (ACCOUNT, other.id), (ACCOUNT, "0" * 32)):
        assert await store.script_by_id(account, wanted) is None


async def test_versions_are_found_by_a_range_of_uuids(store: Store) -> None:
    """Both bounds are included, the newest version comes first, and other scripts are left out."""
    other = ScriptRef(REF.account_id, "other")
    for ref in (REF, other):
        for _ in range(5):
            await store.commit(upload(ref=ref))
    every = await store.versions(REF)
    low, _, high = sorted(version.id for version in every)[1:4]

    assert [one for one in every if low <= one.id <= high] == await store.versions_between(REF, low, high)
    assert every == await store.versions_between(REF, b"", b"\xff" * 16)
    assert [] == await store.versions_between(REF, high, low)
    assert [] == await store.versions_between(ScriptRef(REF.account_id, "absent"), b"", b"\xff" * 16)


async def test_versions_are_paged(store: Store) -> None:
    """Offset and limit select from the full list; the default limit is 100, and past the end the list is empty."""
    await store.commit(upload())
    for number in range(104):
        await store.commit(setting(secret(f"S{number % 3}")))

    every = await store.versions(REF, limit=1000)

    assert list(range(105, 0, -1)) == [version.number for version in every]
    assert every[:100] == await store.versions(REF)
    assert every[3:5] == await store.versions(REF, offset=3, limit=2)
    assert every[103:] == await store.versions(REF, offset=103, limit=10)
    assert await store.versions(REF, offset=105) == []


async def test_an_undeployed_version_is_the_newest(store: Store) -> None:
    """Reads show the undeployed version and the next version is based on it, but it is in no deployment."""
    await store.commit(upload(secret("A"), bodies=(b"one",)))
    served = await store.deployments(REF)
    await store.commit(upload(secret("B"), keep=("secret_text",), bodies=(b"two",), deployed=False))

    script = await store.script(REF)

    assert script is not None
    assert (script.version, script.live_version) == (2, 1)
    assert ["A", "B"] == [binding.name for binding in await store.bindings(REF)]
    assert ["A"] == [binding.name for binding in await store.bindings(REF, 1)]
    assert [[b"one"], [b"two"]] == [[part.body for part in await modules_of(store, REF, number)] for number in (1, 2)]
    assert served == await store.deployments(REF)
    assert await store.count_deployments(REF) == 1


async def test_an_always_edit_makes_a_version(store: Store) -> None:
    """With `always` an edit that alters nothing makes a version with the same code, settings and bindings."""
    await store.commit(upload(secret("S"), plain("P"), settings=b'{"n":1}'))
    before, first = await store.bindings(REF), await store.version(REF)
    assert first is not None

    outcome = await store.commit(editing(stamp=stamp("touch"), always=True))

    assert (2, first.etag, first.settings) == (outcome.version, outcome.newest and outcome.newest.etag, b'{"n":1}')
    assert (await store.script(REF), await store.version(REF)) == (outcome.script, outcome.newest)
    assert before == await store.bindings(REF)
    assert await modules_of(store, REF, 1) == await modules_of(store, REF, 2)
    assert await store.count_deployments(REF) == 2


async def test_annotations_stay_with_their_version(store: Store) -> None:
    """A stamp's annotations belong to the version and the deployment made with it, byte for byte."""
    noted = replace(stamp("upload"), annotations='{"workers/message":"é"}'.encode())
    await store.commit(upload())
    await store.commit(editing(stamp=noted, always=True))

    [version, _], [deployment, _] = await store.versions(REF), await store.deployments(REF)

    assert (noted.annotations, noted.annotations) == (version.annotations, deployment.annotations)


async def test_a_version_needs_a_stamp(store: Store) -> None:
    """An edit that needs a version and has no stamp is refused, and changes nothing."""
    await store.commit(upload())
    before = await state(store, REF)
    edits = [editing(always=True), editing(set=(secret("S"),)), editing(settings=SettingsUpdate(b'{"a":1}'))]

    problems = [await refusal(store, edit) for edit in edits]

    assert [Code.INVALID] * 3 == [code for [(code, _)] in problems]
    assert before == await state(store, REF)


async def test_a_removed_script_has_no_version(store: Store) -> None:
    """Versions and deployments are removed with their script; the next script of that name starts at version 1."""
    await store.commit(upload())
    await store.commit(setting(secret("S")))
    old = await store.versions(REF)
    await store.commit(removing())

    assert [None, None] == [await store.version(REF), await store.version(REF, old[0].id)]
    assert (await store.count_deployments(REF), await store.deployments(REF)) == (0, [])
    await store.commit(upload())
    assert (await store.count_deployments(REF), len(await store.deployments(REF))) == (1, 1)
    assert await store.version(REF, old[0].id) is None
