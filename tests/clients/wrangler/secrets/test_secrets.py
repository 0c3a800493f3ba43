"""`wrangler secret`: put, list, delete and bulk on an existing Worker."""

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


def test_secrets_are_put_listed_and_deleted(project: Project) -> None:
    """Values arrive without trailing white space, lists show names and types, and a deleted secret gives 10056."""
    project.upload(VAR)
    odd_name = "a/b %2F ü"

    [put, _] = together(
        lambda: project.ok("secret", "put", "KEY", stdin="  hush hush \n\n"),
        lambda: project.ok("secret", "put", "EMPTY", stdin=""),
    )
    assert "Success! Uploaded secret KEY" in put.out
    assert {"KEY": "  hush hush", "EMPTY": ""} == project.values()

    together(
        lambda: project.ok("secret", "put", "KEY", stdin="hush again"),
        lambda: project.ok("secret", "put", odd_name, stdin="hush\nhush"),
    )
    assert {"KEY": "hush again", "EMPTY": "", odd_name: "hush\nhush"} == project.values()

    [listed, pretty] = together(
        lambda: project.ok("secret", "list"),
        lambda: project.ok("secret", "list", "--format", "pretty"),
    )
    assert [{"name": name, "type": "secret_text"} for name in ("EMPTY", "KEY", odd_name)] == listed.json
    assert [True] * 3 == [f"Secret Name: {name}" in pretty.out for name in ("EMPTY", "KEY", odd_name)]

    [deleted, _] = together(
        lambda: project.ok("secret", "delete", "EMPTY"),
        lambda: project.ok("secret", "delete", odd_name),
    )
    gone = project.refused("secret", "delete", "EMPTY")
    assert "Success! Deleted secret EMPTY" in deleted.out
    assert "Binding 'EMPTY' not found. Please use a different name and try again. [code: 10056]" in gone.err
    assert ["KEY"] == project.wire.names(project.worker)
    assert {"KEY", "VAR"} == set(project.bindings())
    assert ["secret"] * 6 == [version["annotations"]["workers/triggered_by"] for version in project.versions()[:-1]]


def test_bulk_sets_only_the_named_secrets(project: Project) -> None:
    """`bulk` from JSON, `.env` and standard input sets the named secrets and leaves everything else unchanged."""
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


def test_bulk_deletes_nulls_in_the_newer_wrangler(project: Project) -> None:
    """The newer wrangler deletes a secret that is null; the older refuses nulls itself and changes nothing."""
    project.upload()
    assert project.wire.put(project.worker, "A", "hush").status == 200

    done = project.run("secret", "bulk", stdin='{"A": null, "B": "hush"}')

    if project.version == NEWER:
        assert (0, {"B": "hush"}) == (done.code, project.values())
    else:
        assert (1, {"A": "hush"}) == (done.code, project.values())


def test_a_secret_does_not_replace_a_variable(project: Project) -> None:
    """`put` and `bulk` do not replace a variable; error 10053 names it."""
    project.upload(VAR)
    taken = "Binding name 'VAR' already in use. Please use a different name and try again."

    output = project.refused("secret", "put", "VAR", stdin="hush").err
    assert (True, True) == (taken in output, "[code: 10053]" in output)
    assert {"VAR": VAR} == project.bindings()

    output = project.refused("secret", "bulk", stdin='{"VAR": "hush", "A": "hush"}').err
    assert (True, True) == (taken in output, "[code: 10053]" in output)
    assert {"VAR": VAR} == project.bindings()
