"""`wrangler deploy --dispatch-namespace`, and the namespaces themselves."""

import json

from tests.clients.opened import opened
from tests.clients.wire.talk import SCRIPTS
from tests.clients.wrangler.project import Project, together

NAMESPACES = SCRIPTS.replace("/scripts", "/dispatch/namespaces")


def test_a_worker_in_a_namespace(project: Project) -> None:
    """It is there with its secrets and not among the account's own; a namespace that is absent is named."""
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
    assert {"GREETING": "plain_text", "KEY": "secret_text"} == {one["name"]: one["type"] for one in bindings}
    assert {"KEY": "hush"} == opened(project.server.safe, project.worker, namespace)
    assert not project.is_there()


def test_namespaces(project: Project) -> None:
    """Create, list, get and delete; to rename one is refused, and it is told why."""
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
