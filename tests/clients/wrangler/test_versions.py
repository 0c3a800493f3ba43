"""`wrangler versions`, `deployments` and `rollback`."""

import pytest
from tests.clients.wrangler.project import Output, Project, together


def names(output: Output) -> list[str]:
    """Return the names of the secrets in a list."""
    return [line.partition("Secret Name:")[2].strip() for line in output.out.splitlines() if "Secret Name:" in line]


@pytest.mark.thorough
def test_a_version_is_uploaded_split_and_deployed(project: Project) -> None:
    """A version can be uploaded, listed and deployed to a part or all; secrets cannot be edited during the split."""
    old = project.upload({"type": "plain_text", "name": "GREETING", "text": "hello"})
    project.configure(vars={"GREETING": "hi"})
    project.write("secrets.json", '{"WITH_CODE": "hush"}')
    named = ("--message", "a message", "--tag", "a-tag", "--secrets-file", "secrets.json")
    upload = project.ok("versions", "upload", *named)
    new = project.versions()[0]["id"]

    assert f"Worker Version ID: {new}" in upload.out
    assert {"WITH_CODE": "hush"} == project.values()
    assert {old: 100} == project.served()
    [listed, shown, viewed] = together(
        lambda: project.ok("versions", "list", "--json"),
        lambda: project.ok("versions", "list"),
        lambda: project.ok("versions", "view", new),
    )
    assert [old, new] == [version["id"] for version in listed.json]
    assert [True] * 3 == [word in shown.out for word in (old, new, "a message")]
    assert [True] * 4 == [word in viewed.out for word in (new, "a-tag", "GREETING", "hi")]

    project.ok("versions", "deploy", f"{new}@20", f"{old}@80", "--yes", "--message", "some")
    assert {old: 80, new: 20} == project.served()
    [status, split] = together(
        lambda: project.ok("deployments", "status", "--json"),
        lambda: project.refused("secret", "put", "KEY", stdin="hush"),
    )
    assert {old: 80, new: 20} == {version["version_id"]: version["percentage"] for version in status.json["versions"]}
    assert "isn't currently deployed" in split.err

    project.ok("versions", "deploy", f"{new}@100%", "--yes")
    assert {new: 100} == project.served()
    [now, shown_list, listed_json] = together(
        lambda: project.ok("deployments", "status"),
        lambda: project.ok("deployments", "list"),
        lambda: project.ok("deployments", "list", "--json"),
    )
    assert new in now.out
    assert [True] * 3 == [word in shown_list.out for word in (old, new, "some")]
    assert [deployment["id"] for deployment in project.deployments()] == [
        deployment["id"] for deployment in reversed(listed_json.json)
    ]
    project.ok("secret", "put", "KEY", stdin="hush")
    assert {"KEY": "hush", "WITH_CODE": "hush"} == project.values()


@pytest.mark.thorough
def test_deploy_ends_split_traffic(project: Project) -> None:
    """A deployment ends the split and gets all traffic."""
    old = project.upload()
    project.ok("versions", "upload")
    new = project.versions()[0]["id"]
    project.ok("versions", "deploy", f"{new}@50", f"{old}@50", "--yes")

    output = project.ok("deploy")

    assert "Your last deployment has multiple versions" in output.everything
    assert {project.versions()[0]["id"]: 100} == project.served()


def test_version_secrets_are_not_deployed(project: Project) -> None:
    """Each edit makes a version that is not deployed; the deployed version keeps its secrets."""
    project.upload({"type": "plain_text", "name": "GREETING", "text": "hello"})
    project.wire.put(project.worker, "KEPT", "hush kept")
    served = project.served()

    project.ok("versions", "secret", "put", "KEY", "--message", "put it", "--tag", "t1", stdin="hush\n")
    newest = project.versions()[0]
    assert {"KEPT": "hush kept", "KEY": "hush"} == project.values()
    assert newest["annotations"]["workers/message"] == "put it"
    assert served == project.served()

    project.write("secrets.json", '{"A": "hush 1", "B": "hush 2"}')
    project.ok("versions", "secret", "bulk", "secrets.json")
    assert {"KEPT": "hush kept", "KEY": "hush", "A": "hush 1", "B": "hush 2"} == project.values()
    project.ok("versions", "secret", "delete", "A")
    project.ok("versions", "secret", "delete", "NOT_THERE")
    assert {"KEPT": "hush kept", "KEY": "hush", "B": "hush 2"} == project.values()
    assert {"GREETING", "KEPT", "KEY", "B"} == set(project.bindings())

    [of_served, of_newest] = together(
        lambda: project.ok("versions", "secret", "list"),
        lambda: project.ok("versions", "secret", "list", "--latest-version"),
    )
    assert ["KEPT"] == names(of_served)
    assert ["B", "KEPT", "KEY"] == sorted(names(of_newest))
    assert served == project.served()
    project.ok("versions", "deploy", f"{project.versions()[0]['id']}@100", "--yes")
    assert ["B", "KEPT", "KEY"] == sorted(names(project.ok("versions", "secret", "list")))


def test_versions_do_not_create_a_missing_worker(project: Project) -> None:
    """No command creates the missing Worker."""
    refusals = together(
        lambda: project.refused("versions", "upload"),
        lambda: project.refused("versions", "secret", "put", "KEY", stdin="hush"),
    )

    assert [True, True] == ["does not" in output.err for output in refusals]
    assert not project.is_there()


def test_rollback_restores_version_and_secrets(project: Project) -> None:
    """A rollback deploys the old version; over a changed secret wrangler warns first, and the old value is back."""
    first = project.upload()
    project.ok("deploy")

    project.ok("rollback", "--message", "back", "--yes")
    assert {first: 100} == project.served()
    newest = project.deployments()[0]
    assert ("rollback", "back") == tuple(
        newest["annotations"][f"workers/{name}"] for name in ("triggered_by", "message")
    )

    project.ok("deploy")
    project.ok("secret", "put", "KEY", stdin="hush old")
    old = project.versions()[0]["id"]
    project.ok("secret", "put", "KEY", stdin="hush new")
    back = project.ok("rollback", old, "--yes")

    assert "KEY" in back.everything
    assert {old: 100} == project.served()
    number = len(project.versions()) - 1
    assert {"KEY": "hush old"} == project.values(number)
    assert {"KEY": "hush new"} == project.values()
