"""`wrangler deploy --dispatch-namespace` and `wrangler dispatch-namespace`."""

import json

import pytest
from tests.clients.stored_values import opened
from tests.clients.wire.talk import SCRIPTS
from tests.clients.wrangler.project import Project, together

NAMESPACES = SCRIPTS.replace("/scripts", "/dispatch/namespaces")


def test_deploy_into_a_namespace(project: Project) -> None:
    """The Worker and its secrets are in the namespace and not in the account; a missing namespace is named."""
    namespace = f"of-{project.worker}"
    project.write("secrets.json", json.dumps({"KEY": "hush"}))

    absent = project.refused("deploy", "--dispatch-namespace", namespace)
    project.ok("dispatch-namespace", "create", namespace)
    project.ok("deploy", "--dispatch-namespace", namespace, "--secrets-file", "secrets.json")
    again = project.ok("deploy", "--dispatch-namespace", namespace, "--var", "GREETING:hello")

    assert f"The dispatch namespace '{namespace}' does not exist on your account. [code: 100119]" in absent.err
    assert namespace in again.out
    bindings = project.wire.ask("GET", f"{NAMESPACES}/{namespace}/scripts/{project.worker}/settings").result[
        "bindings"
    ]
    assert {"GREETING": "plain_text", "KEY": "secret_text"} == {
        binding["name"]: binding["type"] for binding in bindings
    }
    assert {"KEY": "hush"} == opened(project.server.safe, project.worker, namespace)
    assert not project.is_there()


@pytest.mark.thorough
def test_namespaces_are_created_listed_and_deleted(project: Project) -> None:
    """Create, list, get and delete work; rename is refused with a reason."""
    name = f"ns-{project.worker}"
    project.ok("dispatch-namespace", "create", name)
    [listed, got, renamed] = together(
        lambda: project.ok("dispatch-namespace", "list"),
        lambda: project.ok("dispatch-namespace", "get", name),
        lambda: project.refused("dispatch-namespace", "rename", name, "hush too"),
    )
    assert name in listed.out
    assert name in got.out
    assert "Nightsafe does not rename" in renamed.err

    project.ok("dispatch-namespace", "delete", name)
    [listed, absent] = together(
        lambda: project.ok("dispatch-namespace", "list"),
        lambda: project.refused("dispatch-namespace", "get", name),
    )
    assert name not in listed.out
    assert f"The dispatch namespace '{name}' does not exist on your account. [code: 100119]" in absent.err
