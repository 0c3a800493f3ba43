"""Environments: as Workers of their own, and as environments of a service."""

import pytest
from tests.clients.node.tools import OLDER
from tests.clients.wrangler.project import Project, together


def test_env_names_a_worker_of_its_own(project: Project) -> None:
    """`deploy --env` and `secret --env` change `<name>-<environment>` and never the Worker itself."""
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
def service_project(project: Project) -> Project:
    """Return a project with service environments, which only the older wrangler has."""
    project.configure(legacy_env=False, env={"staging": {}})
    return project


@pytest.mark.thorough
@pytest.mark.parametrize("version", [OLDER])
def test_legacy_env_false_uses_service_environments(service_project: Project) -> None:
    """With `legacy_env: false` secrets, bulk and code go to the service's environment."""
    service_project.upload()
    service_project.ok("deploy", "--env", "staging")
    together(
        lambda: service_project.ok("secret", "put", "KEY", "--env", "staging", stdin="hush"),
        lambda: service_project.ok("secret", "put", "OTHER", "--env", "staging", stdin="hush too"),
    )
    service_project.ok("secret", "delete", "OTHER", "--env", "staging")
    service_project.ok("secret", "bulk", "--env", "staging", stdin='{"A": "hush"}')
    listed = service_project.ok("secret", "list", "--env", "staging")

    assert [{"name": "A", "type": "secret_text"}, {"name": "KEY", "type": "secret_text"}] == listed.json
    assert {} == service_project.values()
    service_project.worker += "-staging"
    assert {"A": "hush", "KEY": "hush"} == service_project.values()
