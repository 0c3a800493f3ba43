"""The draft that wrangler makes of a Worker it is told is not there, and that it must never make of one that is."""

from tests.clients.node.tools import NEWER
from tests.clients.wire.talk import SCRIPTS
from tests.clients.wrangler.project import Project, together

DRAFT = b"export default { fetch() {} }"
OFFER = "Do you want to create a new Worker with that name"


def test_a_worker_that_is_not_there(project: Project) -> None:
    """10007 is answered with a draft that holds the secret, by `put` as by `bulk`."""
    put = project.ok("secret", "put", "KEY", stdin="hush")

    assert OFFER in put.out
    assert DRAFT in project.wire.ask("GET", project.at).body
    assert {"KEY": "hush"} == project.values()

    project.worker += "-bulk"
    bulk = project.ok("secret", "bulk", "--name", project.worker, stdin='{"A": "hush 1", "B": "hush 2"}')

    assert OFFER in bulk.out
    assert DRAFT in project.wire.ask("GET", project.at).body
    assert {"A": "hush 1", "B": "hush 2"} == project.values()


def test_what_makes_no_draft(project: Project) -> None:
    """Lists and deletions of a Worker that is not there fail, and leave nothing."""
    [listed, deleted] = together(
        lambda: project.refused("secret", "list"),
        lambda: project.refused("secret", "delete", "KEY"),
    )

    assert f'Worker "{project.worker}" not found.' in listed.err
    assert "This Worker does not exist on your account. [code: 10007]" in deleted.err
    if project.version == NEWER:
        assert "[code: 10007]" in project.refused("secret", "bulk", stdin='{"KEY": null}').err
    assert not project.is_there()


def test_no_refusal_destroys_a_worker(project: Project) -> None:
    """Whatever is wrong, no refusal of a secret makes wrangler put its draft over the code of a Worker."""
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
    for code, said in zip(codes, refusals, strict=True):
        assert f"[code: {code}]" in said.err
        assert OFFER not in said.everything
    assert before == state(project)


def test_an_undeployed_version_makes_no_draft(project: Project) -> None:
    """Nor does the refusal to edit secrets over a version that is not deployed."""
    project.upload()
    project.ok("versions", "upload")
    before = state(project)
    refusals = together(
        lambda: project.refused("secret", "put", "KEY", stdin="hush"),
        lambda: project.refused("secret", "bulk", stdin='{"A": "hush"}'),
        lambda: project.refused("secret", "delete", "KEY"),
    )

    for said in refusals:
        assert OFFER not in said.everything
        assert "isn't currently deployed" in said.err
    assert before == state(project)


def state(project: Project) -> object:
    """All there is to tell of a Worker that is whole."""
    files = project.files()
    assert DRAFT not in files.values()
    listed = [script for script in project.wire.ask("GET", SCRIPTS).result if script["id"] == project.worker]
    return files, listed, project.bindings(), project.values(), project.versions(), project.deployments()
