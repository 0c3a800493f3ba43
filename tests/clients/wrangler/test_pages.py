"""`wrangler pages secret`."""

import pytest
from tests.clients.stored_values import opened_held
from tests.clients.wire.talk import SCRIPTS
from tests.clients.wrangler.project import Project, together

from nightsafe.store.collections import Kind

PROJECTS = SCRIPTS.replace("/workers/scripts", "/pages/projects")


@pytest.mark.thorough
def test_pages_secrets_belong_to_one_environment(project: Project) -> None:
    """Put, list, bulk and delete work for each of the two environments, and no value is shown."""
    name = f"pages-{project.worker}"
    (project.folder / "wrangler.json").unlink()
    of_project = ("--project-name", name)
    absent = project.refused("pages", "secret", "put", "KEY", *of_project, stdin="hush")
    assert f'Project "{name}" does not exist.' in absent.err

    project.ok("pages", "project", "create", name, "--production-branch", "main")
    [projects, _, _, _] = together(
        lambda: project.ok("pages", "project", "list"),
        lambda: project.ok("pages", "secret", "put", "KEY", *of_project, stdin="hush \n"),
        lambda: project.ok("pages", "secret", "put", "PREVIEWED", *of_project, "--env", "preview", stdin="hush!"),
        lambda: project.ok("pages", "secret", "bulk", *of_project, stdin='{"A": "hush 1", "B": "hush\\nhush"}'),
    )

    assert name in projects.out
    assert ["A", "B", "KEY"] == secret_names(project, name, "production")
    assert ["PREVIEWED"] == secret_names(project, name, "preview")
    assert {"A": "hush 1", "B": "hush\nhush", "KEY": "hush"} == values(project, name, "production")
    assert {"PREVIEWED": "hush!"} == values(project, name, "preview")
    listed = project.ok("pages", "secret", "list", *of_project).out
    assert [True] * 3 == [f"- {key}: Value Encrypted" in listed for key in ("A", "B", "KEY")]
    assert "PREVIEWED" not in listed

    project.ok("pages", "secret", "delete", "KEY", *of_project)
    assert ["A", "B"] == secret_names(project, name, "production")
    assert {"A", "B"} == set(values(project, name, "production"))


def secret_names(project: Project, name: str, environment: str) -> list[str]:
    """Return the names of an environment's secrets, after checking that the API shows no value."""
    variables = project.wire.ask("GET", f"{PROJECTS}/{name}").result["deployment_configs"][environment]["env_vars"]
    assert [{"type": "secret_text", "value": ""}] * len(variables) == list(variables.values())
    return sorted(variables)


def values(project: Project, name: str, environment: str) -> dict[str, str]:
    """Return the stored values of an environment's secrets."""
    return opened_held(project.server.safe, Kind.PAGES_PROJECT, name, environment)
