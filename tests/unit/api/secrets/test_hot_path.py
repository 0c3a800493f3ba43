"""The fast path for reads of a secret: it answers exactly as the router does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.api.http.test_any_bytes import BODIES, HEADERS, QUERIES, TARGETS
from tests.unit.api.tools import values
from tests.unit.api.tools.driver import ACCOUNT, OTHER_ACCOUNT, SCRIPTS, Api, Headers, secret_at, secrets_of
from tests.unit.api.tools.tokens import give

from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.credentials import digest
from nightsafe.store.changes import AuditEntry, Change
from nightsafe.store.scripts import ScriptRef

KINDS = st.sampled_from(
    [
        "all", "read", "tail", "write", "no group", "unknown group", "other account", "reading denied", "nothing",
        "disabled", "expired", "not yet", "for long", "unknown", "globs", "other globs", "glob denied",
        "every account", "account's", "other account's", "from here", "from elsewhere", "not from here",
    ]
)  # fmt: skip
SCHEMES = st.sampled_from([b"Bearer ", b"bearer ", b"Bearer  ", b"Bearer", b"Basic ", b"", b"Bearer \t", b" Bearer "])
NAMES = st.sampled_from([*values.NASTY, "absent", "PLAIN", "", "\udcff"])
SCRIPT_NAMES = st.sampled_from(["worker", "worker", "worker", "absent", "Worker", "", "é", "a/b"])
ACCOUNTS = st.sampled_from([ACCOUNT, ACCOUNT, ACCOUNT, OTHER_ACCOUNT, ACCOUNT.upper(), "", "%30" + ACCOUNT[1:]])
TAILS = st.sampled_from(["", "", "", "/", "/x", "%", "%2F", "%ff"])

Bearers = dict[str, bytes]


@pytest.fixture(scope="module")
def bearers(api: Api) -> Bearers:
    """Return a token of each kind, and make a script with a secret under each nasty name."""
    plain = {"name": "PLAIN", "type": "plain_text", "text": ""}
    api.upload("worker", {"main_module": "worker.js", "bindings": [plain]})
    for name in values.NASTY:
        assert api.put("worker", values.text(name) if len(name) % 2 else values.key(name)).status == 200
    return give(api)


def agree(api: Api, method: str, target: str | bytes, headers: Headers, body: bytes = b"") -> int:
    """Send the request twice by each way, so that both meet an unknown and a cached token; return the status."""
    first, *others = (
        api.try_send(method, target, body, headers, anonymous=True, to=way)
        for way in (api.router, api.app, api.app, api.router)
    )
    assert first is not None
    assert [first] * 3 == others
    return first.status


def as_path(name: str) -> str:
    """Return a name as a segment, with lone surrogates as the bytes that they stand for."""
    return "".join(f"%{byte:02x}" for byte in name.encode("utf-8", "surrogateescape"))


@given(KINDS, SCHEMES, ACCOUNTS, SCRIPT_NAMES, NAMES, TAILS)
@settings(max_examples=examples(400), deadline=None)
def test_both_ways_read_a_secret_alike(  # noqa: PLR0913, PLR0917 - a request has many sides
    api: Api, bearers: Bearers, kind: str, scheme: bytes, account: str, script: str, name: str, tail: str
) -> None:
    """Both ways answer any read of any secret with any token alike."""
    target = f"/client/v4/accounts/{account}/workers/scripts/{as_path(script)}/secrets/{as_path(name)}{tail}"

    agree(api, "GET", target, [(b"authorization", scheme + bearers[kind])])


@pytest.mark.parametrize("name", values.NASTY, ids=ascii)
def test_both_ways_find_every_name(api: Api, bearers: Bearers, name: str) -> None:
    """Both ways find each name in each encoding."""
    headers = [(b"authorization", b"Bearer " + bearers["tail"])]

    for target in (secret_at("worker", name), f"{secrets_of('worker')}/{as_path(name)}"):
        assert agree(api, "GET", target, headers) == 200


@given(st.sampled_from(["GET", "GET", "HEAD", "POST", "OPTIONS", "get"]), TARGETS, QUERIES, HEADERS, KINDS)
@settings(max_examples=examples(300), deadline=None)
def test_both_ways_answer_any_request_alike(  # noqa: PLR0913, PLR0917 - a request has many sides
    api: Api, bearers: Bearers, method: str, target: bytes, query: bytes, headers: Headers, kind: str
) -> None:
    """Both ways answer any reading request alike, with any further headers."""
    if target in {b"/livez", b"/readyz"}:
        return
    agree(api, method, target + query, [(b"authorization", b"Bearer " + bearers[kind]), *headers])


@given(BODIES, st.lists(st.sampled_from([b"content-length", b"transfer-encoding", b"expect"]), unique=True))
@settings(max_examples=examples(100), deadline=None)
def test_both_ways_take_a_body_alike(api: Api, bearers: Bearers, body: bytes, announced: list[bytes]) -> None:
    """Both ways answer a GET with a body alike, announced or not."""
    header_values = {
        b"content-length": b"%d" % len(body),
        b"transfer-encoding": b"chunked",
        b"expect": b"100-continue",
    }
    headers = [(b"authorization", b"Bearer " + bearers["all"]), *((name, header_values[name]) for name in announced)]

    agree(api, "GET", secret_at("worker", "mySecret"), headers, body)


@pytest.mark.parametrize(
    "more",
    [
        [(b"authorization", b"Bearer x")],
        [(b"x-auth-email", b"owner@example.com")],
        [(b"x-auth-email", b"nobody"), (b"x-auth-key", b"x" * 40)],
    ],
)
def test_both_ways_treat_several_credentials_alike(api: Api, bearers: Bearers, more: Headers) -> None:
    """Both ways treat several credentials alike."""
    token = (b"authorization", b"Bearer " + bearers["all"])

    for headers in ([token, *more], [*more, token]):
        agree(api, "GET", secret_at("worker", "mySecret"), headers)


def test_both_ways_fail_alike(api: Api, bearers: Bearers, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the store fails, both ways answer alike."""

    async def fail(ref: ScriptRef, name: str) -> bytes:
        """Fail as a store does."""
        raise NightsafeError(Code.STORE, f"no {name} in {ref}")

    headers = [(b"authorization", b"Bearer " + bearers["all"])]
    assert agree(api, "GET", secret_at("worker", "mySecret"), headers) == 200
    monkeypatch.setattr(api.store, "secret", fail)
    assert agree(api, "GET", secret_at("worker", "mySecret"), headers) == 500


def test_a_wait_for_a_primary_is_not_repeated(own_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that has waited for a primary in vain is refused at once, so that nobody waits twice the patience."""
    own_api.upload("worker")
    own_api.put("worker", values.text("A"))
    assert own_api.send("GET", secret_at("worker", "A")).status == 200
    waits: list[str] = []

    async def wait(_: ScriptRef, name: str) -> bytes | None:
        """Wait in vain."""
        waits.append(name)
        raise NightsafeError(Code.NO_PRIMARY, "no primary has answered")

    monkeypatch.setattr(own_api.store, "secret", wait)
    refused = own_api.try_send("GET", secret_at("worker", "A"))
    assert refused is not None

    assert (503, ["A"]) == (refused.status, waits)
    assert (b"retry-after", b"5") in refused.headers


def test_the_fast_path_shows_a_write_at_once(own_api: Api) -> None:
    """After each write, the next read by the fast path shows it."""
    own_api.upload("worker")
    for _ in range(3):
        assert own_api.send("GET", secret_at("worker", "A")).status == 404
        own_api.put("worker", values.text("A"))
        assert own_api.send("GET", secret_at("worker", "A")).result == {"name": "A", "type": "secret_text"}
        own_api.put("worker", values.key("A"))
        assert own_api.send("GET", secret_at("worker", "A")).result == values.shown_key("A")
        own_api.send("DELETE", secret_at("worker", "A"))
    assert [] == own_api.send("GET", secrets_of("worker")).result
    assert len(own_api.send("GET", SCRIPTS).result) == 1


def test_the_fast_path_refuses_a_token_that_another_node_has_revoked(
    own_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a store that does not know of another node's commit by itself, the next read by a revoked token fails."""
    own_api.upload("worker")
    own_api.put("worker", values.text("A"))
    bearer = give(own_api)["all"]
    store, known, exact = own_api.store, own_api.store.generation(), own_api.store.generation

    async def identity_generation() -> object:
        """Return the generation as the database has it."""
        return exact()

    async def secret_and_generation(ref: ScriptRef, name: str) -> tuple[bytes | None, object]:
        """Return a secret and the generation as the database has it."""
        return await store.secret(ref, name), exact()

    monkeypatch.setattr(store, "knows_every_commit", False)
    monkeypatch.setattr(store, "secret_and_identity_generation", secret_and_generation)
    monkeypatch.setattr(store, "generation", lambda: known)
    monkeypatch.setattr(store, "identity_generation", identity_generation)
    headers = [(b"authorization", b"Bearer " + bearer)]
    assert agree(own_api, "GET", secret_at("worker", "A"), headers) == 200
    token = own_api.run(store.token(digest(bearer)))
    assert token is not None
    own_api.run(store.commit(Change(at=0, audit=AuditEntry("", b"{}"), drop_tokens=(token.id,))))

    for way in (own_api.app, own_api.router):
        answer = own_api.try_send("GET", secret_at("worker", "A"), b"", headers, anonymous=True, to=way)
        assert answer is not None
        assert answer.status == 403
