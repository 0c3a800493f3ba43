"""`wrangler deploy`: the parts of a Worker that it creates, and the parts that it keeps."""

import json

import pytest
from tests.clients.wrangler.project import BUNDLED, DATE, Project, together

VARS = {"GREETING": "hello", "OBJ": {"a": 1}}
VAR_BINDINGS = {
    "GREETING": {"type": "plain_text", "name": "GREETING", "text": "hello"},
    "OBJ": {"type": "json", "name": "OBJ", "json": {"a": 1}},
}
SECRET = {"type": "secret_text", "name": "KEY"}


def test_deploy_creates_and_updates_a_worker(project: Project) -> None:
    """The first deploy makes a script, the next deploys a version; secrets stay, variables are replaced."""
    project.configure(vars=VARS, compatibility_flags=["nodejs_compat"])
    first = project.ok("deploy")

    assert f"Uploaded {project.worker}" in first.out
    assert VAR_BINDINGS == project.bindings()
    assert BUNDLED in project.wire.ask("GET", project.at).body
    settings = project.get("/settings")
    assert (DATE, ["nodejs_compat"]) == (settings["compatibility_date"], settings["compatibility_flags"])
    assert f"Current Version ID: {project.versions()[0]['id']}" in first.out

    project.wire.put(project.worker, "KEY", "hush")
    project.configure(vars={"GREETING": "hello"}, observability={"enabled": True}, logpush=True)
    again = project.ok("deploy", "--message", "a message", "--tag", "a-tag")

    newest = project.versions()[0]
    assert f"Current Version ID: {newest['id']}" in again.out
    assert {newest["id"]: 100} == project.served()
    assert {"GREETING": VAR_BINDINGS["GREETING"], "KEY": SECRET} == project.bindings()
    assert {"KEY": "hush"} == project.values()
    assert ("a message", "a-tag") == tuple(newest["annotations"][f"workers/{name}"] for name in ("message", "tag"))
    assert project.deployments()[0]["annotations"]["workers/message"] == "a message"
    script_settings = project.get("/script-settings")
    assert (True, True) == (script_settings["observability"]["enabled"], script_settings["logpush"])
    assert project.get("/settings")["compatibility_flags"] == []


def test_keep_vars_keeps_other_variables(project: Project) -> None:
    """Variables that others set stay with `--keep-vars` and are removed without it."""
    other = {"type": "plain_text", "name": "OTHER", "text": "set elsewhere"}
    project.upload(other)
    project.configure(vars=VARS)

    project.ok("deploy", "--keep-vars")
    assert VAR_BINDINGS | {"OTHER": other} == project.bindings()

    project.ok("deploy")
    assert VAR_BINDINGS == project.bindings()


def test_deploy_with_a_secrets_file_keeps_other_secrets(project: Project) -> None:
    """`--secrets-file` adds secrets and keeps earlier ones, and wrangler shows no value."""
    project.configure(vars={"GREETING": "hello"})
    project.write("secrets.json", json.dumps({"A": "hush 1", "B": ""}))
    project.write("secrets.env", "A=hush 2\nC=hush 3\n")

    created = project.ok("deploy", "--secrets-file", "secrets.json")
    assert {"A": "hush 1", "B": ""} == project.values()

    updated = project.ok("deploy", "--secrets-file", "secrets.env")
    assert {"A": "hush 2", "B": "", "C": "hush 3"} == project.values()
    assert {"A", "B", "C", "GREETING"} == set(project.bindings())
    assert [True, True] == ["(hidden)" in output.out for output in (created, updated)]


def test_deploy_without_a_required_secret_is_refused(project: Project) -> None:
    """A deployment or version without a required secret is refused with the secret's name and changes nothing."""
    project.upload()
    project.wire.put(project.worker, "HERE", "hush")
    project.configure(secrets={"required": ["HERE", "MISSING"]})
    before = project.versions()

    refusals = together(lambda: project.refused("deploy"), lambda: project.refused("versions", "upload"))

    for output in refusals:
        assert "The following required secrets have not been set: MISSING" in output.err
    assert before == project.versions()

    project.wire.put(project.worker, "MISSING", "hush too")
    project.ok("deploy")
    assert {"HERE": "hush", "MISSING": "hush too"} == project.values()


@pytest.mark.thorough
def test_a_variable_replaces_a_secret_except_with_strict(project: Project) -> None:
    """`--strict` stops the deployment; without it the variable replaces the secret."""
    project.ok("deploy")
    project.ok("secret", "put", "GREETING", stdin="hush")
    project.configure(vars={"GREETING": "hello"})

    stopped = project.run("deploy", "--strict")
    assert "GREETING" in stopped.everything
    assert stopped.code == 1
    assert {"GREETING": {"type": "secret_text", "name": "GREETING"}} == project.bindings()

    project.ok("deploy")
    assert {"GREETING": VAR_BINDINGS["GREETING"]} == project.bindings()
    assert {} == project.values()

    strict = project.ok("deploy", "--strict")
    assert "Current Version ID" in strict.out


def test_deploy_with_another_workers_tag_is_refused(project: Project) -> None:
    """A deployment with `WRANGLER_CI_MATCH_TAG` needs the Worker's own tag."""
    project.upload()
    service = project.wire.ask("GET", project.at.replace("/scripts/", "/services/")).result
    tag = service["default_environment"]["script"]["tag"]

    project.ok("deploy", WRANGLER_CI_MATCH_TAG=tag)
    other = project.refused("deploy", WRANGLER_CI_MATCH_TAG="0" * 32)
    project.configure(name=f"{project.worker}-absent")
    absent = project.refused("deploy", WRANGLER_CI_MATCH_TAG=tag)

    assert "must match the name of your Worker" in other.err
    assert f"{project.worker}-absent" in absent.err
    assert 2 == len(project.versions())
    project.worker += "-absent"
    assert not project.is_there()
