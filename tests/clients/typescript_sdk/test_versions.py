"""`client.workers.scripts.versions`, `.deployments` and `client.workers.beta.workers`."""

import base64

import pytest
from tests.clients.node.tools import TypeScript
from tests.clients.stored_values import opened
from tests.clients.typescript_sdk.calls import NO_TYPE, Resource, form, here, secret, shown
from tests.server import Server

NO_ID = "00000000-0000-4000-8000-000000000000"
FILE = {
    "name": "worker.js",
    "content_type": "application/javascript+module",
    "content_base64": base64.b64encode(b"export default 1;").decode(),
}


@pytest.fixture
def scripts(typescript: TypeScript, absent_script: str) -> Resource:
    """Return the resource, with a script that has one secret."""
    resource = Resource(typescript, "workers.scripts")
    resource.call("update", absent_script, form(secret("S", "one")), NO_TYPE)
    return resource


def put(scripts: Resource, script: str, text: str) -> None:
    """Put the secret S."""
    scripts.call("secrets.update", script, here(**secret("S", text)))


def test_versions_are_created_and_listed(server: Server, scripts: Resource, absent_script: str) -> None:
    """Versions are created without a deployment, with the SDK's own form of metadata too, and listed newest first."""
    made = scripts.call("versions.create", absent_script, form(secret("T", "two"), code="1;"))
    for number in range(11):
        scripts.call("versions.create", absent_script, form(annotations={"workers/tag": f"v{number}"}))

    listed = scripts.call("versions.list", absent_script, here())
    got = scripts.call("versions.get", made["id"], here(script_name=absent_script))

    assert [*range(13, 0, -1)] == [version["number"] for version in listed]
    assert listed == scripts.call("versions.list", absent_script, here(per_page=5))
    assert made.pop("startup_time_ms") == 0
    assert made == got
    assert [shown("S"), shown("T")] == got["resources"]["bindings"]
    assert 13 == len(scripts.call("versions.list", absent_script, here(deployable=True)))
    assert {"S": "one", "T": "two"} == opened(server.safe, absent_script)
    assert 1 == len(scripts.call("deployments.list", absent_script, here()))
    unknown = here(script_name=absent_script)
    assert (404, [100146]) == scripts.refused("versions.get", NO_ID, unknown)


def test_a_rollback_restores_secrets(server: Server, scripts: Resource, absent_script: str) -> None:
    """A rollback over changed secrets needs force; secrets are then read-only until the newest version is back."""
    put(scripts, absent_script, "two")
    second, first = [version["id"] for version in scripts.call("versions.list", absent_script, here())]

    def serve(version: str, **more: object) -> dict[str, object]:
        """Return the parameters that deploy one version."""
        return here(strategy="percentage", versions=[{"version_id": version, "percentage": 100}], **more)

    assert (400, [10220]) == scripts.refused("deployments.create", absent_script, serve(first))
    back = scripts.call("deployments.create", absent_script, serve(first, force=True))
    assert (400, [10215]) == scripts.refused("secrets.update", absent_script, here(**secret("S", "three")))
    scripts.call("deployments.create", absent_script, serve(second))
    put(scripts, absent_script, "three")

    listed = scripts.call("deployments.list", absent_script, here(per_page=2))
    triggers = [deployment["annotations"]["workers/triggered_by"] for deployment in listed]
    assert ["secret", "deployment", "rollback", "secret", "upload"] == triggers
    at = here(script_name=absent_script)
    assert back == listed[2] == scripts.call("deployments.get", back["id"], at)
    assert (400, [10015]) == scripts.refused("deployments.delete", back["id"], at)
    assert (400, [10210]) == scripts.refused("deployments.delete", listed[0]["id"], at)
    half = here(strategy="percentage", versions=[{"version_id": first, "percentage": 50}])
    assert (400, [10210]) == scripts.refused("deployments.create", absent_script, half)
    assert {"S": "one"} == opened(server.safe, absent_script, version=1)
    assert {"S": "three"} == opened(server.safe, absent_script)


def test_a_worker_is_edited_replaced_and_deleted(
    server: Server, typescript: TypeScript, scripts: Resource, absent_script: str
) -> None:
    """A Worker can be read, edited, replaced and deleted; a Worker without code is refused."""
    workers = Resource(typescript, "workers.beta.workers")
    body = {"logpush": True, "tags": ["a"], "subdomain": {"enabled": True, "previews_enabled": False}}
    edited = workers.call("edit", absent_script, here(name=absent_script, **body))
    assert body == {name: edited[name] for name in body}
    assert edited == workers.call("get", edited["id"], here())
    assert edited in workers.call("list", here(per_page=100))
    replaced = workers.call("update", absent_script, here(name=absent_script))
    assert (False, []) == (replaced["logpush"], replaced["tags"])

    new = here(main_module="worker.js", modules=[FILE], bindings=[secret("T", "two")])
    made = workers.call("versions.create", absent_script, new)
    at = here(worker_id=absent_script)
    assert [2, 1] == [version["number"] for version in workers.call("versions.list", absent_script, here(per_page=1))]
    assert [FILE] == workers.call("versions.get", made["id"], at | {"include": "modules"})["modules"]
    assert made == workers.call("versions.get", "latest", at)
    assert {"S": "one", "T": "two"} == opened(server.safe, absent_script)
    assert 1 == len(scripts.call("deployments.list", absent_script, here()))

    assert (400, [10015]) == workers.refused("versions.delete", made["id"], at)
    assert (400, [10015]) == workers.refused("create", here(name=f"{absent_script}-2"))
    assert workers.call("delete", absent_script, here())["success"]
    assert (404, [10007]) == workers.refused("get", absent_script, here())
