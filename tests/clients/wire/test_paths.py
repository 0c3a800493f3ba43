"""Paths that do not exist: their error differs from the error for a missing script, and nothing changes."""

import pytest
from tests.clients.wire.talk import JSON, SCRIPTS, Wire
from tests.server import ACCOUNT

METHODS = ("GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS")
UNKNOWN_PATHS = (
    "/{script}/",
    "/{script}/secrets/",
    "/{script}/secrets//",
    "/{script}/secrets//mine",
    "/{script}/secrets/mine/",
    "/{script}/secrets/mine/value",
    "/{script}/secrets-bulk/",
    "/{script}/settings/",
    "/{script}//secrets",
    "//{script}/secrets",
    "//{script}",
    "/",
    "/./{script}/secrets",
    "/x/../{script}/secrets",
    "/{script}/secrets/../secrets",
    "/{script}/secrets/mine/..",
    "/{script}/SECRETS",
    "/{script}/unknown",
)
BODY = b'{"name":"planted","text":"a value","type":"secret_text"}'


@pytest.mark.parametrize("path", UNKNOWN_PATHS)
def test_an_unknown_path_is_404_and_changes_nothing(wire: Wire, script: str, path: str) -> None:
    """Every method and query gives 404 with 7003 and 7000; script and secrets are unchanged."""
    wire.put(script, "mine")
    before = wire.ask("GET", f"{SCRIPTS}/{script}/settings").body
    for method in METHODS:
        for query in ("", "?url_encoded=true", "?force=true"):
            answer = wire.ask(method, SCRIPTS + path.format(script=script) + query, BODY, [JSON])
            assert answer.refusal == (404, [7003, 7000])
    assert before == wire.ask("GET", f"{SCRIPTS}/{script}/settings").body
    assert ["mine"] == wire.names(script)


@pytest.mark.parametrize("path", UNKNOWN_PATHS)
def test_an_unknown_path_reveals_no_credentials(wire: Wire, path: str, script: str) -> None:
    """Without credentials the answer is the same, so it does not reveal which credentials are valid."""
    target = SCRIPTS + path.format(script=script)

    assert wire.ask("GET", target).body == wire.ask("GET", target, credentials=()).body


@pytest.mark.parametrize(
    "path",
    ["/", "", "/client/v4", "/client/v4/", "/client/v4/users", "//client/v4/accounts", "/livez/", "/LIVEZ", "*"],
)
def test_a_path_outside_of_accounts_is_refused(wire: Wire, path: str) -> None:
    """A path outside of accounts gives 400 with 7000."""
    if not path:
        path = f"?{SCRIPTS}"
        assert wire.ask("GET", f"/{path}").refusal == (400, [7000])
        return
    assert wire.ask("GET", path).refusal == (400, [7000])


@pytest.mark.parametrize(
    "account",
    ["", "12345", ACCOUNT.upper(), ACCOUNT[:-1], f"{ACCOUNT}0", f"{ACCOUNT[:-1]}g", f"%30{ACCOUNT[1:]}", "..", "%FF"],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_invalid_account_id_is_refused_first(wire: Wire, script: str, method: str, account: str) -> None:
    """The first error is 7003 with status 404, with and without credentials, and nothing changes."""
    path = f"/client/v4/accounts/{account}/workers/scripts/{script}"
    for credentials in (None, ()):
        status, codes = wire.ask(method, path, credentials=credentials).refusal
        assert (404, 7003) == (status, codes[0])
    assert [] == wire.names(script)


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("", "GET"),
        ("/{script}", "DELETE, GET, PUT"),
        ("/{script}/settings", "GET, PATCH"),
        ("/{script}/secrets", "GET, PUT"),
        ("/{script}/secrets/mine", "DELETE, GET"),
        ("/{script}/secrets-bulk", "PATCH"),
    ],
)
def test_an_unsupported_method_is_405_with_allow(wire: Wire, script: str, path: str, allow: str) -> None:
    """A method that a path does not support gives 405 with 10405; `Allow` lists the supported ones."""
    wire.put(script, "mine")
    for method in ("GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"):
        if method in allow.split(", "):
            continue
        answer = wire.ask(method, SCRIPTS + path.format(script=script), BODY, [JSON])
        assert answer.refusal == (405, [10405])
        assert set(allow.split(", ")) <= set((answer.header("allow") or "").split(", "))
    assert ["mine"] == wire.names(script)


def test_head_has_no_body(wire: Wire, script: str) -> None:
    """HEAD is answered without a body, and the connection stays usable."""
    answer = wire.ask("HEAD", f"{SCRIPTS}/{script}/secrets")

    assert answer.body == b""
    assert [] == wire.names(script)


def test_probes_answer_without_credentials(wire: Wire) -> None:
    """`livez` and `readyz` answer GET and HEAD without credentials; other methods give 405."""
    for path in ("/livez", "/readyz"):
        answer = wire.ask("GET", path, credentials=()).result
        assert ("ok", path == "/readyz") == (answer["status"], "store" in answer)
        assert wire.ask("HEAD", path, credentials=()).status == 200
        refused = wire.ask("POST", path, credentials=())
        assert (405, [10405]) == refused.refusal
        assert refused.header("allow") == "GET, HEAD"
