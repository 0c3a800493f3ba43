"""Environments: as Workers of their own, and as the older layer of services."""

import pytest
from tests.clients.node.tools import OLDER
from tests.clients.wrangler.project import Project, together


def test_an_environment_is_a_worker(project: Project) -> None:
    """`--env` goes to `<name>-<environment>`, by `deploy` as by `secret`, and never to the Worker itself."""
    project.configure(env={"staging": {"vars": {"GREETING": "hi"}}})

    project.ok("deploy", "--env", "staging")
    project.ok("secret", "put", "KEY", "--env", "staging", stdin="hush")
    listed = project.ok("secret", "list", "--env", "staging")

    assert [{"name": "KEY", "type": "secret_text"}] == listed.json
    assert not project.is_there()
    project.worker += "-staging"
    assert {"GREETING", "KEY"} == set(project.bindings())
    assert {"KEY": "hush"} == project.values()


@pytest.fixture
def older(project: Project) -> Project:
    """A project with environments of a service, which only the older wrangler has."""
    project.configure(legacy_env=False, env={"staging": {}})
    return project


@pytest.mark.parametrize("version", [OLDER])
def test_an_environment_of_a_service(older: Project) -> None:
    """`legacy_env: false`: secrets, bulk and code go to the service's environment."""
    older.upload()
    older.ok("deploy", "--env", "staging")
    together(
        lambda: older.ok("secret", "put", "KEY", "--env", "staging", stdin="hush"),
        lambda: older.ok("secret", "put", "OTHER", "--env", "staging", stdin="hush too"),
    )
    older.ok("secret", "delete", "OTHER", "--env", "staging")
    older.ok("secret", "bulk", "--env", "staging", stdin='{"A": "hush"}')
    listed = older.ok("secret", "list", "--env", "staging")

    assert [{"name": "A", "type": "secret_text"}, {"name": "KEY", "type": "secret_text"}] == listed.json
    assert {} == older.values()
    older.worker += "-staging"
    assert {"A": "hush", "KEY": "hush"} == older.values()
