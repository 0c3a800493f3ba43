"""Secrets of a Worker's previews: `preview secret`, which the newer wrangler calls `preview base-config secret`."""

import pytest
from tests.clients.node.tools import NEWER, OLDER
from tests.clients.stored_values import opened_held
from tests.clients.wire.talk import SCRIPTS
from tests.clients.wrangler.project import Project, together

from nightsafe.store.collections import Kind

COMMAND = {OLDER: ("preview", "secret"), NEWER: ("preview", "base-config", "secret")}
FIELD = {OLDER: "preview_defaults", NEWER: "previews_base_config"}


@pytest.mark.thorough
def test_preview_secrets_leave_the_workers_own_unchanged(project: Project) -> None:
    """Put, list, bulk and delete work and leave the Worker's own secrets and versions unchanged."""
    command = COMMAND[project.version]
    of_worker = ("--worker-name", project.worker)
    project.upload()
    before = project.versions()

    project.ok(*command, "put", "KEY", *of_worker, stdin="hush\n")
    project.write("secrets.json", '{"A": "hush 1", "B": "hush\\nhush"}')
    project.ok(*command, "bulk", "secrets.json", *of_worker)
    [listed, shown] = together(
        lambda: project.ok(*command, "list", "--json", *of_worker),
        lambda: project.ok(*command, "list", *of_worker),
    )
    project.ok(*command, "delete", "KEY", "--skip-confirmation", *of_worker)

    assert ["A", "B", "KEY"] == sorted(secret["name"] for secret in listed.json)
    assert [True] * 3 == [name in shown.out for name in ("A", "B", "KEY")]
    path = f"{SCRIPTS}/{project.worker}".replace("/scripts/", "/workers/")
    kept = project.wire.ask("GET", path).result[FIELD[project.version]]["env"]
    assert {"A": {"type": "secret_text"}, "B": {"type": "secret_text"}} == kept
    expected = {"A": "hush 1", "B": "hush\nhush"}
    assert expected == opened_held(project.server.safe, Kind.SCRIPT, project.worker)
    assert before == project.versions()
    assert [] == project.wire.names(project.worker)


def test_preview_deployments_are_refused(project: Project) -> None:
    """The refusal says that Nightsafe makes no preview deployments."""
    project.configure(previews={} if project.version == NEWER else None)
    project.upload()

    assert "Nightsafe does not make preview deployments" in project.refused("preview", "--name", "a-preview").err


@pytest.mark.parametrize("version", [NEWER])
def test_secrets_of_a_named_preview(project: Project) -> None:
    """Put and list work with the name of a preview that does not exist; the base configuration is unchanged."""
    project.configure(previews={})
    project.upload()
    named = ("--name", "feature/one", "--worker-name", project.worker)

    project.ok("preview", "secret", "put", "KEY", *named, stdin="hush\n")
    listed = project.ok("preview", "secret", "list", "--json", *named)

    assert [{"name": "KEY", "type": "secret_text"}] == listed.json
    assert {"KEY": "hush"} == opened_held(project.server.safe, Kind.SCRIPT, project.worker, "feature/one")
    path = f"{SCRIPTS}/{project.worker}".replace("/scripts/", "/workers/")
    assert {} == project.wire.ask("GET", path).result[FIELD[NEWER]]["env"]
    assert [] == project.wire.names(project.worker)
