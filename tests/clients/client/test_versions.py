"""Versions and deployments through our own client and the real server."""

from typing import Any

import pytest
from tests.clients.python_sdk.tools.settling import gathered, settled
from tests.server import ACCOUNT

from nightsafe.client import BadRequestError, Deployment, NotFoundError, ScriptNotFoundError, Version

MODULE = ("worker.js", b"export default {};", "application/javascript+module")
METADATA = {"main_module": "worker.js", "compatibility_date": "2026-04-01"}
ABSENT = "00000000-0000-4000-8000-000000000000"


async def newest(client: Any, script: str) -> Version:
    """Return the newest version of a script."""
    versions: list[Version] = await gathered(client.workers.scripts.versions.list(script, account_id=ACCOUNT))
    return versions[0]


async def test_a_new_version_is_not_deployed(either: Any, script: str) -> None:
    """The version is the newest, with its bindings and message, and the deployed version stays."""
    scripts = either.workers.scripts
    served = await newest(either, script)
    bindings = [{"type": "secret_text", "name": "S", "text": "x"}, {"type": "plain_text", "name": "V", "text": "y"}]
    metadata = {**METADATA, "bindings": bindings, "annotations": {"workers/message": "not yet"}}
    made = await settled(scripts.versions.create(script, account_id=ACCOUNT, metadata=metadata, files=[MODULE]))
    got = await settled(scripts.versions.get(made.id, account_id=ACCOUNT, script_name=script))

    assert made.id == got.id == (await newest(either, script)).id != served.id
    assert got.number == (served.number or 0) + 1
    assert "not yet" == got.annotations["workers/message"]
    assert [{"name": "S", "type": "secret_text"}, bindings[1]] == got.resources.bindings
    [deployment, *_] = await gathered(scripts.deployments.list(script, account_id=ACCOUNT))
    assert [served.id] == [version.version_id for version in deployment.versions]


async def test_versions_can_be_deployed_and_rolled_back(either: Any, script: str) -> None:
    """One version, two with shared traffic, and the first again can be deployed; the newest is listed first."""
    scripts = either.workers.scripts
    first = await newest(either, script)
    second = await settled(scripts.versions.create(script, account_id=ACCOUNT, metadata=METADATA, files=[MODULE]))
    for parts in ({second.id: 100}, {first.id: 75, second.id: 25}, {first.id: 100}):
        versions = [{"version_id": version, "percentage": part} for version, part in parts.items()]
        made = await settled(
            scripts.deployments.create(script, account_id=ACCOUNT, strategy="percentage", versions=versions)
        )
        assert isinstance(made, Deployment)
        listed = await gathered(scripts.deployments.list(script, account_id=ACCOUNT))
        got = await settled(scripts.deployments.get(made.id, account_id=ACCOUNT, script_name=script))

        assert made.id == listed[0].id == got.id
        assert parts == {version.version_id: version.percentage for version in listed[0].versions}


async def test_each_write_of_a_secret_is_a_version(either: Any, script: str) -> None:
    """Each write creates and deploys a version; a list of several pages has each version once."""
    scripts = either.workers.scripts
    for number in range(7):
        await settled(
            scripts.secrets.update(script, account_id=ACCOUNT, name="S", text=f"{number}", type="secret_text")
        )
    versions = await gathered(scripts.versions.list(script, account_id=ACCOUNT, per_page=3))

    assert list(range(8, 0, -1)) == [version.number for version in versions]
    deployments = await gathered(scripts.deployments.list(script, account_id=ACCOUNT))
    assert [versions[0].id] == [version.version_id for version in deployments[0].versions]


async def test_a_rollback_over_a_changed_secret_needs_force(either: Any, script: str) -> None:
    """The rollback is refused with 10220 and the secret's name, and works with force."""
    scripts = either.workers.scripts
    before = await newest(either, script)
    await settled(scripts.secrets.update(script, account_id=ACCOUNT, name="S", text="x", type="secret_text"))
    back: dict[str, Any] = {
        "account_id": ACCOUNT,
        "strategy": "percentage",
        "versions": [{"version_id": before.id, "percentage": 100}],
    }
    with pytest.raises(BadRequestError) as raised:
        await settled(scripts.deployments.create(script, **back))
    forced = await settled(scripts.deployments.create(script, **back, force=True))

    assert 10220 == raised.value.errors[0].code
    assert raised.value.errors[0].message.endswith(": S")
    assert before.id == forced.versions[0].version_id


async def test_missing_versions_and_scripts_raise(either: Any, script: str) -> None:
    """A missing version or deployment raises NotFoundError, a missing script ScriptNotFoundError."""
    scripts = either.workers.scripts
    at = {"account_id": ACCOUNT, "script_name": script}
    with pytest.raises(NotFoundError):
        await settled(scripts.versions.get(ABSENT, **at))
    with pytest.raises(NotFoundError):
        await settled(scripts.deployments.get(ABSENT, **at))
    with pytest.raises(ScriptNotFoundError):
        await gathered(scripts.versions.list(f"{script}-absent", account_id=ACCOUNT))
