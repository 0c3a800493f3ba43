"""Deployments made by themselves: rollbacks, split traffic, versions that were uploaded earlier."""

import os
import uuid
from collections.abc import Sequence

import pytest
from tests.engines.tools.changes import (
    ACCOUNT,
    OTHER_ACCOUNT,
    REF,
    change,
    code,
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
from tests.engines.tools.stored import modules_of

from nightsafe.errors import Code
from nightsafe.store.changes import Change
from nightsafe.store.interface import Store
from nightsafe.store.period import Period
from nightsafe.store.script_edit import ScriptEdit
from nightsafe.store.scripts import Script, ScriptRef, Version


async def history(store: Store, changes: Sequence[Change]) -> list[Version]:
    """Commit changes; the versions there are then, oldest first."""
    for new in changes:
        await store.commit(new)
    return (await store.versions(REF))[::-1]


async def script(store: Store) -> Script:
    """The script, which is there."""
    found = await store.script(REF)
    assert found is not None
    return found


async def test_an_uploaded_version_is_deployed_later(store: Store) -> None:
    """The deployment is told as it is read, becomes the first of the list, and makes no version."""
    _, draft = await history(store, [upload(), upload(deployed=False)])
    edit = deploying((draft.id, 100.0), annotations=b'{"workers/message":"go"}')
    assert edit.edit is not None
    new = edit.edit.deploy
    assert new is not None

    outcome = await store.commit(edit)

    made = outcome.deployment
    assert made is not None
    assert (new.id, edit.at, new.versions, new.annotations) == (
        made.id,
        made.created_on,
        made.versions,
        made.annotations,
    )
    assert (new.source, new.author_id, new.author_email) == (made.source, made.author_id, made.author_email)
    assert (made.triggered_by, outcome.version, (await script(store)).source) == ("deployment", 0, "api")
    assert made == (await store.deployments(REF))[0]
    assert (await script(store), await store.version(REF)) == (outcome.script, outcome.newest)
    assert ((await script(store)).live_version, (await script(store)).modified_on) == (2, edit.at)
    assert (await store.count_deployments(REF), len(await store.versions(REF))) == (2, 2)
    assert len(await store.audit_entries(ACCOUNT)) == 3


async def test_traffic_is_split(store: Store) -> None:
    """Percentages are kept to the last digit, in the order they came; nothing is then served alone."""
    one, two = await history(store, [upload(), upload(deployed=False)])
    shares = ((one.id, 33.3), (two.id, 66.7))

    outcome = await store.commit(deploying(*shares))

    assert outcome.deployment is not None
    assert shares == outcome.deployment.versions
    assert shares == (await store.deployments(REF))[0].versions
    assert (await script(store)).live_version == 0


async def test_both_kinds_of_deployment_are_one_list(store: Store) -> None:
    """Versions deployed when made and deployments made by themselves come in the order they were made."""
    one, two, three = await history(store, [upload(), upload(deployed=False), setting(secret("S"))])
    made: list[bytes] = []
    for shares in (((two.id, 100.0),), ((two.id, 50.0), (three.id, 50.0)), ((three.id, 100.0),)):
        outcome = await store.commit(deploying(*shares, force=True))
        assert outcome.deployment is not None
        made.append(outcome.deployment.id)
    await store.commit(setting(secret("T")))
    await store.commit(upload(deployed=False))
    last = await store.commit(deploying((one.id, 100.0), force=True))
    assert last.deployment is not None

    every = await store.deployments(REF)

    four = (await store.versions(REF))[1]
    assert [
        ((one.id, 100.0),),
        ((four.id, 100.0),),
        ((three.id, 100.0),),
        ((two.id, 50.0), (three.id, 50.0)),
        ((two.id, 100.0),),
        ((three.id, 100.0),),
        ((one.id, 100.0),),
    ] == [deployment.versions for deployment in every]
    assert [last.deployment.id, *made[::-1]] == [every[0].id, *(deployment.id for deployment in every[2:5])]
    assert sorted((deployment.created_on for deployment in every), reverse=True) == [d.created_on for d in every]
    assert len(every) == await store.count_deployments(REF)


async def test_deployments_are_paged(store: Store) -> None:
    """Offset and limit cut the list of all, 100 without a limit; past the end there is nothing."""
    one, two = await history(store, [upload(), upload(deployed=False)])
    for number in range(104):
        await store.commit(upload(deployed=number % 3 == 0))
        await store.commit(deploying(((one, two)[number % 2].id, 100.0)))

    every = await store.deployments(REF, limit=1000)

    assert len(every) == await store.count_deployments(REF) == 1 + 35 + 104
    assert every[:100] == await store.deployments(REF)
    assert every[7:12] == await store.deployments(REF, offset=7, limit=5)
    assert every[138:] == await store.deployments(REF, offset=138, limit=10)
    assert await store.deployments(REF, offset=140) == []


async def test_deployments_of_a_period(store: Store) -> None:
    """Both bounds are within it, and so the count; pages are cut of what it holds."""
    one, two = await history(store, [upload(), upload(deployed=False)])
    for number in range(9):
        await store.commit(deploying(((one, two)[number % 2].id, 100.0)))
    every = await store.deployments(REF)
    period = Period(every[6].created_on, every[2].created_on)

    assert every[2:7] == await store.deployments(REF, period=period)
    assert every[3:5] == await store.deployments(REF, offset=1, limit=2, period=period)
    assert await store.count_deployments(REF, period) == 5
    assert await store.count_deployments(REF, Period(since=every[0].created_on + 1)) == 0
    assert await store.count_deployments(ScriptRef(ACCOUNT, "absent"), period) == 0
    assert await store.deployments(REF, period=Period(until=every[-1].created_on)) == every[-1:]


async def test_a_deployment_is_found_by_its_uuid(store: Store) -> None:
    """Made with a version or by itself, in its own script alone; of what was not deployed there is none."""
    one, _ = await history(store, [upload(), upload(deployed=False)])
    await store.commit(deploying((one.id, 100.0), force=True))
    other = ScriptRef(ACCOUNT, "other")
    await store.commit(upload(ref=other))
    every = await store.deployments(REF)

    assert every == [await store.deployment(REF, deployment.id) for deployment in every]
    for ref, wanted in ((other, every[0].id), (ScriptRef(ACCOUNT, "absent"), every[0].id), (REF, one.id), (REF, b"")):
        assert await store.deployment(ref, wanted) is None


async def test_a_version_without_traffic_is_not_gone_back_from(store: Store) -> None:
    """It is in the deployment, so nothing is served alone; but what is compared and told is what gets traffic."""
    one, two = await history(store, [upload(), upload(secret("A"), deployed=False)])

    silent = await store.commit(deploying((one.id, 100.0), (two.id, 0.0)))
    assert ((one.id, 100.0), (two.id, 0.0)) == (await store.deployments(REF))[0].versions
    assert (await script(store)).live_version == 0
    alone = await store.commit(deploying((one.id, 100.0)))

    told = [outcome.deployment.triggered_by for outcome in (silent, alone) if outcome.deployment]
    assert ["deployment", "deployment"] == told


async def test_going_back_brings_the_secrets_of_then(store: Store) -> None:
    """A rollback serves an old version and leaves the newest, its code and its bindings as they are."""
    one, _ = await history(store, [upload(secret("S"), plain("P")), upload(plain("Q"), keep=("secret_text",))])
    before = await store.bindings(REF), await modules_of(store, REF), await store.bindings(REF, 1)

    outcome = await store.commit(deploying((one.id, 100.0)))

    assert outcome.deployment is not None
    assert outcome.deployment.triggered_by == "rollback"
    assert ((await script(store)).version, (await script(store)).live_version) == (2, 1)
    assert before == (await store.bindings(REF), await modules_of(store, REF), await store.bindings(REF, 1))


async def test_what_is_a_rollback(store: Store) -> None:
    """It is one when every version in it is older than the newest served before, whatever is newest of all."""
    one, two, three, four = await history(store, [upload(), upload(), upload(deployed=False), upload(deployed=False)])
    steps = [
        (((one.id, 100.0),), "rollback"),
        (((two.id, 100.0),), "deployment"),
        (((two.id, 100.0),), "deployment"),
        (((one.id, 10.0), (four.id, 90.0)), "deployment"),
        (((three.id, 10.0), (one.id, 90.0)), "rollback"),
        (((three.id, 100.0),), "deployment"),
        (((two.id, 50.0), (one.id, 50.0)), "rollback"),
    ]

    for shares, expected in steps:
        outcome = await store.commit(deploying(*shares))
        assert outcome.deployment is not None
        assert expected == outcome.deployment.triggered_by
        assert outcome.deployment == (await store.deployments(REF))[0]


ROLLED = [
    ("replaced", [setting(secret("B"))], "B"),
    ("more", [setting(secret("Z"), secret("C"))], "C, Z"),
    ("fewer", [dropping("A")], "A"),
    ("kind", [upload(secret("A", "secret_key"), keep=("secret_text",))], "A"),
    ("plain now", [upload(plain("A"), keep=("secret_text",))], "A"),
    ("all", [dropping("A"), setting(secret("é"), secret("\U0001f511"), secret("B"))], "A, B, é, \U0001f511"),
]


@pytest.mark.parametrize(("_name", "changes", "names"), ROLLED, ids=[case[0] for case in ROLLED])
async def test_changed_secrets_refuse_a_rollback(store: Store, _name: str, changes: list[Change], names: str) -> None:
    """Going back over secrets that were set, added or dropped names them by byte order; `force` goes back."""
    one, *_ = await history(store, [upload(secret("A"), secret("B"), plain("P")), *changes])
    before = await state(store, REF)

    assert [(Code.SECRETS_CHANGED, names)] == await refusal(store, deploying((one.id, 100.0)))
    assert before == await state(store, REF)
    outcome = await store.commit(deploying((one.id, 100.0), force=True))
    assert outcome.deployment is not None
    assert outcome.deployment.triggered_by == "rollback"


async def test_a_secret_set_and_dropped_again_is_no_change(store: Store) -> None:
    """What counts is the secrets of the two versions, not what was in between, nor bindings that are none."""
    one, *_ = await history(
        store, [upload(secret("A"), plain("P")), setting(secret("T")), dropping("T"), upload(keep=("secret_text",))]
    )

    assert await refusal(store, deploying((one.id, 100.0))) == []


async def test_secrets_are_compared_with_what_is_served(store: Store) -> None:
    """Secrets of a newest version that was never served, or is no longer, are of no account."""
    one, two, _ = await history(
        store, [upload(secret("A")), upload(keep=("secret_text",)), editing(stamp=stamp(deployed=False), drop=("A",))]
    )

    assert await refusal(store, deploying((one.id, 100.0))) == []
    assert await refusal(store, deploying((two.id, 100.0))) == []


async def test_the_newest_of_each_side_are_compared(store: Store) -> None:
    """Amid split traffic the newest version served and the newest to be served decide."""
    one, two, three, four = await history(
        store,
        [upload(), setting(secret("A")), upload(keep=("secret_text",)), setting(secret("A"))],
    )
    await store.commit(deploying((one.id, 20.0), (three.id, 80.0), force=True))

    assert await refusal(store, deploying((two.id, 50.0), (one.id, 50.0))) == []
    assert [(Code.SECRETS_CHANGED, "A")] == await refusal(store, deploying((one.id, 100.0)))
    assert await refusal(store, deploying((four.id, 100.0))) == []
    assert [(Code.SECRETS_CHANGED, "A")] == await refusal(store, deploying((three.id, 100.0)))


async def test_going_forward_is_never_refused_for_secrets(store: Store) -> None:
    """A newer version, or the one that is served, is deployed whatever its secrets are."""
    one, two = await history(store, [upload(secret("A")), upload(secret("B"), deployed=False)])

    assert await refusal(store, deploying((two.id, 100.0))) == []
    assert await refusal(store, deploying((two.id, 60.0), (one.id, 40.0))) == []


async def test_unknown_versions_are_refused_by_name(store: Store) -> None:
    """Each version that the script does not have, be it another script's, is a problem; nothing is deployed."""
    other = ScriptRef(ACCOUNT, "other")
    await store.commit(upload(ref=other))
    [foreign] = await store.versions(other)
    [one] = await history(store, [upload()])
    absent = os.urandom(16)
    before = await state(store, REF)

    problems = await refusal(store, deploying((foreign.id, 20.0), (one.id, 40.0), (absent, 40.0), force=True))

    assert [(Code.VERSION_NOT_FOUND, str(uuid.UUID(bytes=one))) for one in (foreign.id, absent)] == problems
    assert before == await state(store, REF)


@pytest.mark.parametrize("ref", [ScriptRef(ACCOUNT, "absent"), ScriptRef(OTHER_ACCOUNT, REF.name)])
async def test_an_absent_script_is_not_deployed(store: Store, ref: ScriptRef) -> None:
    """A deployment of a script that is not there is refused, and reads of one give nothing."""
    [one] = await history(store, [upload()])

    assert [(Code.SCRIPT_NOT_FOUND, ref.name)] == await refusal(store, deploying((one.id, 100.0), ref=ref))
    assert (await store.deployments(ref), await store.count_deployments(ref)) == ([], 0)


async def test_a_first_deployment(store: Store) -> None:
    """A script whose versions were never deployed serves nothing, and then what is deployed, old or new."""
    one, two = await history(store, [upload(deployed=False), upload(secret("S"), deployed=False)])
    served = (await script(store)).live_version, await store.deployments(REF), await store.count_deployments(REF)

    outcome = await store.commit(deploying((one.id, 100.0)))

    assert (0, [], 0) == served
    assert outcome.deployment is not None
    assert [outcome.deployment] == await store.deployments(REF)
    assert (outcome.deployment.triggered_by, (await script(store)).live_version) == ("deployment", 1)
    assert await refusal(store, deploying((two.id, 100.0))) == []


async def test_a_version_and_a_deployment_in_one(store: Store) -> None:
    """An edit may make a version and deploy it beside another, all or nothing."""
    [one] = await history(store, [upload()])
    new, absent = stamp("upload", deployed=False), os.urandom(16)

    def edit(*versions: bytes) -> Change:
        """Upload, and deploy these."""
        deployment = deploying(*((version_id, 50.0) for version_id in versions)).edit
        assert deployment is not None
        return change(ScriptEdit(ref=REF, stamp=new, upload=code(b"two"), deploy=deployment.deploy))

    before = await state(store, REF)
    assert [(Code.VERSION_NOT_FOUND, str(uuid.UUID(bytes=absent)))] == await refusal(store, edit(one.id, absent))
    assert before == await state(store, REF)
    outcome = await store.commit(edit(one.id, new.version_id))

    assert outcome.version == 2
    assert outcome.deployment is not None
    assert [one.id, new.version_id] == [version_id for version_id, _ in outcome.deployment.versions]
    assert ((await script(store)).version, (await script(store)).live_version) == (2, 0)


async def test_a_deployment_is_kept_to_its_state(store: Store) -> None:
    """`must_be_live` holds for deployments, too."""
    one, _ = await history(store, [upload(), upload(deployed=False)])
    deployment = deploying((one.id, 100.0)).edit
    assert deployment is not None

    edit = editing(deploy=deployment.deploy, must_be_live=Code.SETTINGS_NOT_LIVE)

    assert [(Code.SETTINGS_NOT_LIVE, REF.name)] == await refusal(store, edit)
