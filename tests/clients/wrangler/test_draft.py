"""The draft that wrangler uploads for a missing Worker, and must never upload over an existing one."""

import pytest
from tests.clients.node.tools import NEWER
from tests.clients.wire.talk import SCRIPTS
from tests.clients.wrangler.project import Project, together

DRAFT = b"export default { fetch() {} }"
OFFER = "Do you want to create a new Worker with that name"


def test_a_secret_of_a_missing_worker_makes_a_draft(project: Project) -> None:
    """After error 10007 `put` and `bulk` make wrangler upload a draft that has the secrets."""
    put = project.ok("secret", "put", "KEY", stdin="hush")

    assert OFFER in put.out
    assert DRAFT in project.wire.ask("GET", project.at).body
    assert {"KEY": "hush"} == project.values()

    project.worker += "-bulk"
    bulk = project.ok("secret", "bulk", "--name", project.worker, stdin='{"A": "hush 1", "B": "hush 2"}')

    assert OFFER in bulk.out
    assert DRAFT in project.wire.ask("GET", project.at).body
    assert {"A": "hush 1", "B": "hush 2"} == project.values()


def test_list_and_delete_make_no_draft(project: Project) -> None:
    """Listing and deleting secrets of a missing Worker fails and creates nothing."""
    [listed, deleted] = together(
        lambda: project.refused("secret", "list"),
        lambda: project.refused("secret", "delete", "KEY"),
    )

    assert f'Worker "{project.worker}" not found.' in listed.err
    assert "This Worker does not exist on your account. [code: 10007]" in deleted.err
    if project.version == NEWER:
        assert "[code: 10007]" in project.refused("secret", "bulk", stdin='{"KEY": null}').err
    assert not project.is_there()


@pytest.mark.thorough
def test_no_refusal_makes_a_draft_over_a_worker(project: Project) -> None:
    """No refusal of a secret makes wrangler upload its draft over the code of an existing Worker."""
    project.upload({"type": "plain_text", "name": "VAR", "text": "x"})
    project.wire.put(project.worker, "KEY", "hush")
    before = state(project)
    elsewhere = {"CLOUDFLARE_ACCOUNT_ID": "0" * 32}
    unknown = {"CLOUDFLARE_API_TOKEN": "nst_unknown"}
    refusals = together(
        lambda: project.refused("secret", "put", "KEY", stdin="hush", **elsewhere),
        lambda: project.refused("secret", "put", "KEY", stdin="hush", **unknown),
        lambda: project.refused("secret", "bulk", stdin='{"A": "hush"}', **elsewhere),
        lambda: project.refused("secret", "bulk", stdin='{"A": "hush"}', **unknown),
        lambda: project.refused("secret", "put", "VAR", stdin="hush"),
        lambda: project.refused("secret", "put", "KEY", stdin="hush" * 1281),
        lambda: project.refused("secret", "bulk", stdin='{"A": "' + "hush" * 1281 + '"}'),
        lambda: project.refused("secret", "put", "n" * 2713, stdin="hush"),
        lambda: project.refused("secret", "delete", "NOT_THERE"),
        lambda: project.refused("secret", "delete", ".."),
        lambda: project.refused("secret", "delete", "."),
    )
    codes = [10000, 10000, 10000, 10000, 10053, 10054, 10054, 10100, 10056, 7003, 7003]
    for code, output in zip(codes, refusals, strict=True):
        assert f"[code: {code}]" in output.err
        assert OFFER not in output.everything
    assert before == state(project)


@pytest.mark.thorough
def test_an_undeployed_version_makes_no_draft(project: Project) -> None:
    """The refusal to edit secrets while the newest version is not deployed makes no draft either."""
    project.upload()
    project.ok("versions", "upload")
    before = state(project)
    refusals = together(
        lambda: project.refused("secret", "put", "KEY", stdin="hush"),
        lambda: project.refused("secret", "bulk", stdin='{"A": "hush"}'),
        lambda: project.refused("secret", "delete", "KEY"),
    )

    for output in refusals:
        assert OFFER not in output.everything
        assert "isn't currently deployed" in output.err
    assert before == state(project)


def state(project: Project) -> object:
    """Return everything that shows that a Worker is unchanged."""
    files = project.files()
    assert DRAFT not in files.values()
    listed = [script for script in project.wire.ask("GET", SCRIPTS).result if script["id"] == project.worker]
    return files, listed, project.bindings(), project.values(), project.versions(), project.deployments()
