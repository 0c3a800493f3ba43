"""Deployments of existing versions: rollbacks and split traffic."""

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
from nightsafe.store.script_edit import ScriptEdit
from nightsafe.store.scripts import Period, Script, ScriptRef, Version


async def commit_all(store: Store, changes: Sequence[Change]) -> list[Version]:
    """Commit changes; return all versions then, oldest first."""
    for new in changes:
        await store.commit(new)
    return (await store.versions(REF))[::-1]


async def script(store: Store) -> Script:
    """Return the script, which must exist."""
    found = await store.script(REF)
    assert found is not None
    return found


async def test_an_uploaded_version_is_deployed_later(store: Store) -> None:
    """The outcome returns the deployment as reads do; it comes first in the list and makes no version."""
    _, draft = await commit_all(store, [upload(), upload(deployed=False)])
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


async def test_split_traffic_keeps_exact_percentages(store: Store) -> None:
    """Percentages are kept exactly and in order; no version is then served alone."""
    one, two = await commit_all(store, [upload(), upload(deployed=False)])
    shares = ((one.id, 33.3), (two.id, 66.7))

    outcome = await store.commit(deploying(*shares))

    assert outcome.deployment is not None
    assert shares == outcome.deployment.versions
    assert shares == (await store.deployments(REF))[0].versions
    assert (await script(store)).live_version == 0


async def test_both_kinds_of_deployment_are_one_list(store: Store) -> None:
    """Deployments made with a version and deployments made alone are one list, newest first."""
    one, two, three = await commit_all(store, [upload(), upload(deployed=False), setting(secret("S"))])
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
    """Offset and limit select from the full list; the default limit is 100, and past the end the list is empty."""
    one, two = await commit_all(store, [upload(), upload(deployed=False)])
    for number in range(104):
        await store.commit(upload(deployed=number % 3 == 0))
        await store.commit(deploying(((one, two)[number % 2].id, 100.0)))

    every = await store.deployments(REF, limit=1000)

    assert len(every) == await store.count_deployments(REF) == 1 + 35 + 104
    assert every[:100] == await store.deployments(REF)
    assert every[7:12] == await store.deployments(REF, offset=7, limit=5)
    assert every[138:] == await store.deployments(REF, offset=138, limit=10)
    assert await store.deployments(REF, offset=140) == []


async def test_deployments_are_filtered_by_period(store: Store) -> None:
    """Both bounds of a period are included, in lists, pages and counts."""
    one, two = await commit_all(store, [upload(), upload(deployed=False)])
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
    """A deployment is found by its id in its own script only; an id of something else finds nothing."""
    one, _ = await commit_all(store, [upload(), upload(deployed=False)])
    await store.commit(deploying((one.id, 100.0), force=True))
    other = ScriptRef(ACCOUNT, "other")
    await store.commit(upload(ref=other))
    every = await store.deployments(REF)

    assert every == [await store.deployment(REF, deployment.id) for deployment in every]
    for ref, wanted in ((other, every[0].id), (ScriptRef(ACCOUNT, "absent"), every[0].id), (REF, one.id), (REF, b"")):
        assert await store.deployment(ref, wanted) is None


async def test_dropping_a_version_without_traffic_is_no_rollback(store: Store) -> None:
    """A version with 0 % is part of the deployment, but a later deployment without it is not a rollback."""
    one, two = await commit_all(store, [upload(), upload(secret("A"), deployed=False)])

    silent = await store.commit(deploying((one.id, 100.0), (two.id, 0.0)))
    assert ((one.id, 100.0), (two.id, 0.0)) == (await store.deployments(REF))[0].versions
    assert (await script(store)).live_version == 0
    alone = await store.commit(deploying((one.id, 100.0)))

    told = [outcome.deployment.triggered_by for outcome in (silent, alone) if outcome.deployment]
    assert ["deployment", "deployment"] == told


async def test_a_rollback_keeps_the_newest_version(store: Store) -> None:
    """A rollback serves an old version; the newest version stays, with its code and bindings."""
    one, _ = await commit_all(store, [upload(secret("S"), plain("P")), upload(plain("Q"), keep=("secret_text",))])
    before = await store.bindings(REF), await modules_of(store, REF), await store.bindings(REF, 1)

    outcome = await store.commit(deploying((one.id, 100.0)))

    assert outcome.deployment is not None
    assert outcome.deployment.triggered_by == "rollback"
    assert ((await script(store)).version, (await script(store)).live_version) == (2, 1)
    assert before == (await store.bindings(REF), await modules_of(store, REF), await store.bindings(REF, 1))


async def test_a_deployment_of_older_versions_is_a_rollback(store: Store) -> None:
    """A deployment is a rollback if all its versions are older than the newest version served before."""
    one, two, three, four = await commit_all(
        store, [upload(), upload(), upload(deployed=False), upload(deployed=False)]
    )
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


SECRET_CHANGES = [
    ("replaced", [setting(secret("B"))], "B"),
    ("more", [setting(secret("Z"), secret("C"))], "C, Z"),
    ("fewer", [dropping("A")], "A"),
    ("kind", [upload(secret("A", "secret_key"), keep=("secret_text",))], "A"),
    ("plain now", [upload(plain("A"), keep=("secret_text",))], "A"),
    ("all", [dropping("A"), setting(secret("é"), secret("\U0001f511"), secret("B"))], "A, B, é, \U0001f511"),
]


@pytest.mark.parametrize(("_name", "changes", "names"), SECRET_CHANGES, ids=[case[0] for case in SECRET_CHANGES])
async def test_changed_secrets_refuse_a_rollback(store: Store, _name: str, changes: list[Change], names: str) -> None:
    """A rollback over secrets that were set, added or dropped is refused with their names; `force` permits it."""
    one, *_ = await commit_all(store, [upload(secret("A"), secret("B"), plain("P")), *changes])
    before = await state(store, REF)

    assert [(Code.SECRETS_CHANGED, names)] == await refusal(store, deploying((one.id, 100.0)))
    assert before == await state(store, REF)
    outcome = await store.commit(deploying((one.id, 100.0), force=True))
    assert outcome.deployment is not None
    assert outcome.deployment.triggered_by == "rollback"


async def test_a_secret_set_and_dropped_again_is_no_change(store: Store) -> None:
    """Only the secrets of the two versions are compared, not those in between, and no other bindings."""
    one, *_ = await commit_all(
        store, [upload(secret("A"), plain("P")), setting(secret("T")), dropping("T"), upload(keep=("secret_text",))]
    )

    assert await refusal(store, deploying((one.id, 100.0))) == []


async def test_secrets_are_compared_with_what_is_served(store: Store) -> None:
    """Secrets of a newer version that is not served are not compared."""
    one, two, _ = await commit_all(
        store, [upload(secret("A")), upload(keep=("secret_text",)), editing(stamp=stamp(deployed=False), drop=("A",))]
    )

    assert await refusal(store, deploying((one.id, 100.0))) == []
    assert await refusal(store, deploying((two.id, 100.0))) == []


async def test_the_newest_version_of_each_side_is_compared(store: Store) -> None:
    """With split traffic, the newest version served is compared with the newest version to be served."""
    one, two, three, four = await commit_all(
        store,
        [upload(), setting(secret("A")), upload(keep=("secret_text",)), setting(secret("A"))],
    )
    await store.commit(deploying((one.id, 20.0), (three.id, 80.0), force=True))

    assert await refusal(store, deploying((two.id, 50.0), (one.id, 50.0))) == []
    assert [(Code.SECRETS_CHANGED, "A")] == await refusal(store, deploying((one.id, 100.0)))
    assert await refusal(store, deploying((four.id, 100.0))) == []
    assert [(Code.SECRETS_CHANGED, "A")] == await refusal(store, deploying((three.id, 100.0)))


async def test_going_forward_is_never_refused_for_secrets(store: Store) -> None:
    """The deployment of a newer version, or of the served one, is never refused for its secrets."""
    one, two = await commit_all(store, [upload(secret("A")), upload(secret("B"), deployed=False)])

    assert await refusal(store, deploying((two.id, 100.0))) == []
    assert await refusal(store, deploying((two.id, 60.0), (one.id, 40.0))) == []


async def test_unknown_versions_are_refused_by_name(store: Store) -> None:
    """Each version that the script does not have is a problem, also another script's; nothing is deployed."""
    other = ScriptRef(ACCOUNT, "other")
    await store.commit(upload(ref=other))
    [foreign] = await store.versions(other)
    [one] = await commit_all(store, [upload()])
    absent = os.urandom(16)
    before = await state(store, REF)

    problems = await refusal(store, deploying((foreign.id, 20.0), (one.id, 40.0), (absent, 40.0), force=True))

    assert [
        (Code.VERSION_NOT_FOUND, str(uuid.UUID(bytes=version_id))) for version_id in (foreign.id, absent)
    ] == problems
    assert before == await state(store, REF)


@pytest.mark.parametrize("ref", [ScriptRef(ACCOUNT, "absent"), ScriptRef(OTHER_ACCOUNT, REF.name)])
async def test_a_deployment_of_an_absent_script_is_refused(store: Store, ref: ScriptRef) -> None:
    """A deployment of an absent script is refused, and reads of an absent script return nothing."""
    [one] = await commit_all(store, [upload()])

    assert [(Code.SCRIPT_NOT_FOUND, ref.name)] == await refusal(store, deploying((one.id, 100.0), ref=ref))
    assert (await store.deployments(ref), await store.count_deployments(ref)) == ([], 0)


async def test_the_first_deployment_may_be_of_any_version(store: Store) -> None:
    """A script without deployments serves nothing; its first deployment may be of any version."""
    one, two = await commit_all(store, [upload(deployed=False), upload(secret("S"), deployed=False)])
    served = (await script(store)).live_version, await store.deployments(REF), await store.count_deployments(REF)

    outcome = await store.commit(deploying((one.id, 100.0)))

    assert (0, [], 0) == served
    assert outcome.deployment is not None
    assert [outcome.deployment] == await store.deployments(REF)
    assert (outcome.deployment.triggered_by, (await script(store)).live_version) == ("deployment", 1)
    assert await refusal(store, deploying((two.id, 100.0))) == []


async def test_one_edit_creates_and_deploys_a_version(store: Store) -> None:
    """An edit may create a version and deploy it beside another one; a problem refuses both."""
    [one] = await commit_all(store, [upload()])
    new, absent = stamp("upload", deployed=False), os.urandom(16)

    def edit(*versions: bytes) -> Change:
        """Upload code and deploy these versions."""
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


async def test_must_be_live_applies_to_deployments(store: Store) -> None:
    """`must_be_live` applies to deployments too."""
    one, _ = await commit_all(store, [upload(), upload(deployed=False)])
    deployment = deploying((one.id, 100.0)).edit
    assert deployment is not None

    edit = editing(deploy=deployment.deploy, must_be_live=Code.SETTINGS_NOT_LIVE)

    assert [(Code.SETTINGS_NOT_LIVE, REF.name)] == await refusal(store, edit)
