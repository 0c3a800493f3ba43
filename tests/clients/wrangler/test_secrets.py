"""`wrangler secret`: put, list, delete, bulk, on a Worker that is there."""

import json

from tests.clients.node.tools import NEWER
from tests.clients.wrangler.project import Project, together

VAR = {"type": "plain_text", "name": "VAR", "text": "x"}
KV = {"type": "kv_namespace", "name": "CACHE", "namespace_id": "0" * 32}
KEY = {
    "type": "secret_key",
    "name": "SIGNER",
    "format": "raw",
    "algorithm": {"name": "HMAC", "hash": "SHA-256"},
    "usages": ["sign"],
    "key_base64": "c2l4dGVlbiBieXRlcyEhIQ==",
}


def test_put_list_delete(project: Project) -> None:
    """Values arrive without the white space at their end; lists show names and types; what is gone is 10056."""
    project.upload(VAR)
    odd = "a/b %2F ü"

    [put, _] = together(
        lambda: project.ok("secret", "put", "KEY", stdin="  hush hush \n\n"),
        lambda: project.ok("secret", "put", "EMPTY", stdin=""),
    )
    assert "Success! Uploaded secret KEY" in put.out
    assert {"KEY": "  hush hush", "EMPTY": ""} == project.values()

    together(
        lambda: project.ok("secret", "put", "KEY", stdin="hush again"),
        lambda: project.ok("secret", "put", odd, stdin="hush\nhush"),
    )
    assert {"KEY": "hush again", "EMPTY": "", odd: "hush\nhush"} == project.values()

    [listed, pretty] = together(
        lambda: project.ok("secret", "list"),
        lambda: project.ok("secret", "list", "--format", "pretty"),
    )
    assert [{"name": name, "type": "secret_text"} for name in ("EMPTY", "KEY", odd)] == listed.json
    assert [True] * 3 == [f"Secret Name: {name}" in pretty.out for name in ("EMPTY", "KEY", odd)]

    [deleted, _] = together(
        lambda: project.ok("secret", "delete", "EMPTY"),
        lambda: project.ok("secret", "delete", odd),
    )
    gone = project.refused("secret", "delete", "EMPTY")
    assert "Success! Deleted secret EMPTY" in deleted.out
    assert "Binding 'EMPTY' not found. Please use a different name and try again. [code: 10056]" in gone.err
    assert ["KEY"] == project.wire.names(project.worker)
    assert {"KEY", "VAR"} == set(project.bindings())
    assert ["secret"] * 6 == [version["annotations"]["workers/triggered_by"] for version in project.versions()[:-1]]


def test_bulk(project: Project) -> None:
    """From JSON, .env and the standard input: what is named is set, everything else stays as it was."""
    project.upload(VAR, KV, KEY)
    assert project.wire.put(project.worker, "OLD", "old").status == 200
    project.write("more.json", json.dumps({"A": "hush 1", "B": "hush\nhush", "C": "", "OLD": "hush new"}))
    project.write("more.env", 'D=hush4\nE="hush = 5"\n')

    done = project.ok("secret", "bulk", "more.json")
    project.ok("secret", "bulk", "more.env")
    project.ok("secret", "bulk", stdin='{"A": "hush one", "F": "hush 6"}')
    project.ok("secret", "bulk", stdin="G='7 = hush'\n")
    project.ok("secret", "bulk", stdin="{}")

    assert "4 secrets successfully" in done.everything
    expected = {
        "A": "hush one",
        "B": "hush\nhush",
        "C": "",
        "D": "hush4",
        "E": "hush = 5",
        "F": "hush 6",
        "G": "7 = hush",
        "OLD": "hush new",
    }
    assert expected == project.values()
    bindings = project.bindings()
    assert {"VAR", "CACHE", "SIGNER", *expected} == set(bindings)
    assert VAR == bindings["VAR"]
    assert KV == bindings["CACHE"]
    assert {name: value for name, value in KEY.items() if name != "key_base64"} == bindings["SIGNER"]


def test_bulk_with_nulls(project: Project) -> None:
    """The newer one deletes what is null; the older one refuses nulls itself, and nothing is changed."""
    project.upload()
    assert project.wire.put(project.worker, "A", "hush").status == 200

    done = project.run("secret", "bulk", stdin='{"A": null, "B": "hush"}')

    if project.version == NEWER:
        assert (0, {"B": "hush"}) == (done.code, project.values())
    else:
        assert (1, {"A": "hush"}) == (done.code, project.values())


def test_a_name_that_a_variable_holds(project: Project) -> None:
    """A secret does not take a variable's place, by `put` or `bulk`: 10053 names it."""
    project.upload(VAR)
    taken = "Binding name 'VAR' already in use. Please use a different name and try again."

    said = project.refused("secret", "put", "VAR", stdin="hush").err
    assert (True, True) == (taken in said, "[code: 10053]" in said)
    assert {"VAR": VAR} == project.bindings()

    said = project.refused("secret", "bulk", stdin='{"VAR": "hush", "A": "hush"}').err
    assert (True, True) == (taken in said, "[code: 10053]" in said)
    assert {"VAR": VAR} == project.bindings()
