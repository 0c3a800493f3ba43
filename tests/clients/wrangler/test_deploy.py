"""`wrangler deploy`: what a Worker becomes, and what of it stays."""

import json

from tests.clients.wrangler.project import BUNDLED, DATE, Project, together

VARS = {"GREETING": "hello", "OBJ": {"a": 1}}
BOUND = {
    "GREETING": {"type": "plain_text", "name": "GREETING", "text": "hello"},
    "OBJ": {"type": "json", "name": "OBJ", "json": {"a": 1}},
}
SECRET = {"type": "secret_text", "name": "KEY"}


def test_a_new_worker_and_the_same_again(project: Project) -> None:
    """First a script, then a version and its deployment; secrets stay, variables are those of the configuration."""
    project.configure(vars=VARS, compatibility_flags=["nodejs_compat"])
    first = project.ok("deploy")

    assert f"Uploaded {project.worker}" in first.out
    assert BOUND == project.bindings()
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
    assert {"GREETING": BOUND["GREETING"], "KEY": SECRET} == project.bindings()
    assert {"KEY": "hush"} == project.values()
    assert ("a message", "a-tag") == tuple(newest["annotations"][f"workers/{name}"] for name in ("message", "tag"))
    assert project.deployments()[0]["annotations"]["workers/message"] == "a message"
    of_script = project.get("/script-settings")
    assert (True, True) == (of_script["observability"]["enabled"], of_script["logpush"])
    assert project.get("/settings")["compatibility_flags"] == []


def test_keep_vars(project: Project) -> None:
    """Variables that others set stay with `--keep-vars`, and go without."""
    other = {"type": "plain_text", "name": "OTHER", "text": "set elsewhere"}
    project.upload(other)
    project.configure(vars=VARS)

    project.ok("deploy", "--keep-vars")
    assert BOUND | {"OTHER": other} == project.bindings()

    project.ok("deploy")
    assert BOUND == project.bindings()


def test_secrets_with_the_code(project: Project) -> None:
    """`--secrets-file` brings secrets, those before them stay, and wrangler shows no value."""
    project.configure(vars={"GREETING": "hello"})
    project.write("secrets.json", json.dumps({"A": "hush 1", "B": ""}))
    project.write("secrets.env", "A=hush 2\nC=hush 3\n")

    created = project.ok("deploy", "--secrets-file", "secrets.json")
    assert {"A": "hush 1", "B": ""} == project.values()

    updated = project.ok("deploy", "--secrets-file", "secrets.env")
    assert {"A": "hush 2", "B": "", "C": "hush 3"} == project.values()
    assert {"A", "B", "C", "GREETING"} == set(project.bindings())
    assert [True, True] == ["(hidden)" in said.out for said in (created, updated)]


def test_required_secrets(project: Project) -> None:
    """A deployment or a version that lacks a required secret is refused by its name, and changes nothing."""
    project.upload()
    project.wire.put(project.worker, "HERE", "hush")
    project.configure(secrets={"required": ["HERE", "MISSING"]})
    before = project.versions()

    refusals = together(lambda: project.refused("deploy"), lambda: project.refused("versions", "upload"))

    for said in refusals:
        assert "The following required secrets have not been set: MISSING" in said.err
    assert before == project.versions()

    project.wire.put(project.worker, "MISSING", "hush too")
    project.ok("deploy")
    assert {"HERE": "hush", "MISSING": "hush too"} == project.values()


def test_a_variable_named_as_a_secret(project: Project) -> None:
    """`--strict` stops before it is replaced; without, the variable takes the secret's place."""
    project.ok("deploy")
    project.ok("secret", "put", "GREETING", stdin="hush")
    project.configure(vars={"GREETING": "hello"})

    stopped = project.run("deploy", "--strict")
    assert "GREETING" in stopped.everything
    assert stopped.code == 1
    assert {"GREETING": {"type": "secret_text", "name": "GREETING"}} == project.bindings()

    project.ok("deploy")
    assert {"GREETING": BOUND["GREETING"]} == project.bindings()
    assert {} == project.values()

    strict = project.ok("deploy", "--strict")
    assert "Current Version ID" in strict.out


def test_a_worker_by_its_tag(project: Project) -> None:
    """A build system's tag must be the Worker's own."""
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
