"""Authentication of requests: every combination of credential headers, and the calls that each token allows."""

import itertools

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.api.http.test_bad_forms import CODE, metadata
from tests.unit.api.tools import values
from tests.unit.api.tools.driver import JSON, SCRIPTS, Api, Headers, form, form_type, script_at, secret_at, secrets_of
from tests.unit.api.tools.tokens import give

NO_CREDENTIALS = (400, [9106])
BAD_BEARER = (400, [6003])
UNKNOWN_TOKEN = (403, [10000])
UNKNOWN_KEY = (400, [9103])

UPLOAD = ("PUT", script_at("made"), form(metadata({"main_module": "worker.js"}), CODE), [form_type()])
CALLS: dict[str, tuple[str, str, bytes, Headers]] = {
    "scripts.read": ("GET", SCRIPTS, b"", []),
    "content": ("GET", script_at("worker"), b"", []),
    "settings": ("GET", f"{script_at('worker')}/settings", b"", []),
    "secrets.read": ("GET", secrets_of("worker"), b"", []),
    "one secret": ("GET", secret_at("worker", "A"), b"", []),
    "put": ("PUT", secrets_of("worker"), b'{"name":"A","type":"secret_text","text":"x"}', [JSON]),
    "patch": ("PATCH", f"{script_at('worker')}/secrets-bulk", b"{}", [JSON]),
    "upload": UPLOAD,
    "delete": ("DELETE", secret_at("worker", "absent"), b"", []),
    "delete script": ("DELETE", script_at("absent"), b"", []),
}
READS = {"scripts.read", "content", "settings", "secrets.read", "one secret"}
ON_THE_SCRIPT = {call for call, (_, target, _, _) in CALLS.items() if target.startswith(SCRIPTS + "/worker")}
ALLOWED = {
    "all": set(CALLS),
    "write": set(CALLS),
    "for long": set(CALLS),
    "read": READS,
    "tail": {"secrets.read", "one secret"},
    "reading denied": set(CALLS) - READS,
    "globs": ON_THE_SCRIPT | {"delete script"},
    "glob denied": set(CALLS) - ON_THE_SCRIPT,
    "every account": set(CALLS),
    "account's": set(CALLS),
    "from here": set(CALLS),
}
ELSEWHERE = {"from elsewhere", "not from here"}


@pytest.fixture(scope="module")
def bearers(api: Api) -> dict[str, bytes]:
    """Return a token of each kind."""
    api.put("worker", values.text("A"))
    return give(api)


@pytest.mark.parametrize("call", CALLS)
def test_a_token_allows_exactly_what_its_policies_allow(api: Api, bearers: dict[str, bytes], call: str) -> None:
    """Each kind of token allows each call, or gets 403 / 10000 before the body is read."""
    method, target, body, headers = CALLS[call]
    for kind, secret in bearers.items():
        authorized = [(b"authorization", b"Bearer " + secret), *headers]
        answers = [api.send(method, target, body, authorized, anonymous=True) for _ in range(2)]
        for answer in answers:
            assert (call in ALLOWED.get(kind, ())) is (answer.status != 403), (kind, answer.body)
            if answer.status == 403:
                assert [9109 if kind in ELSEWHERE else 10000] == answer.codes


def test_the_script_list_leaves_out_denied_scripts(api: Api, bearers: dict[str, bytes]) -> None:
    """The list of scripts leaves out a script that a policy denies."""
    api.upload("other")
    listed = {
        kind: [
            script["id"]
            for script in api.send(
                "GET", SCRIPTS, b"", [(b"authorization", b"Bearer " + bearers[kind])], anonymous=True
            ).result
        ]
        for kind in ("all", "glob denied")
    }

    assert {"worker", "other"} <= set(listed["all"])
    assert set(listed["all"]) - {"worker"} == set(listed["glob denied"])


def outcome(api: Api, *headers: tuple[bytes, bytes]) -> object:
    """Return the status of a read with these credentials, or its refusal."""
    answer = api.send("GET", secrets_of("worker"), b"", headers, anonymous=True)
    return answer.status if answer.status == 200 else answer.refusal


def test_every_combination_of_credential_headers_is_decided(api: Api) -> None:
    """A Bearer token wins over a key pair, half a pair is ignored, and a malformed half is refused."""
    good = api.credentials
    tokens = {
        None: None,
        "Bearer " + good.api_token: 200,
        "bearer   " + good.api_token: 200,
        "Bearer " + "x" * 40: UNKNOWN_TOKEN,
        "Bearer x": UNKNOWN_TOKEN,
        "Bearer " + good.api_key: UNKNOWN_TOKEN,
        "Bearer": BAD_BEARER,
        "Bearer ": BAD_BEARER,
        "": BAD_BEARER,
        good.api_token: BAD_BEARER,
        "Basic eDp4": BAD_BEARER,
        "Bearer a b": BAD_BEARER,
        "Bearer =": BAD_BEARER,
        "Bearer a\xe9": BAD_BEARER,
    }
    emails = {
        None: None,
        good.email: 200,
        good.email.upper(): 200,
        "nobody@example.com": UNKNOWN_KEY,
        "x": BAD_BEARER,
    }
    keys = {None: None, good.api_key: 200, "0" * 37: UNKNOWN_KEY, "short": BAD_BEARER, "x" * 129: BAD_BEARER}
    for (token, by_token), (email, by_email), (key, by_key) in itertools.product(
        tokens.items(), emails.items(), keys.items()
    ):
        pairs = [(b"authorization", token), (b"x-auth-email", email), (b"x-auth-key", key)]
        headers = [(name, value.encode("latin-1")) for name, value in pairs if value is not None]
        expected: object = NO_CREDENTIALS
        if token is not None:
            expected = by_token
        elif email is not None and key is not None:
            expected = next((refusal for refusal in (BAD_BEARER, UNKNOWN_KEY) if refusal in (by_email, by_key)), 200)
        assert expected == outcome(api, *headers), headers


@pytest.mark.parametrize(
    ("headers", "chained"),
    [
        ([(b"authorization", b"x")], (6111, "Invalid format for Authorization header")),
        ([(b"x-auth-email", b"a@b"), (b"x-auth-key", b"x")], (6103, "Invalid format for X-Auth-Key header")),
        ([(b"x-auth-email", b"a"), (b"x-auth-key", b"x" * 37)], (6102, "Invalid format for X-Auth-Email header")),
    ],
)
def test_the_error_chain_names_the_malformed_credential(api: Api, headers: Headers, chained: tuple[int, str]) -> None:
    """The error chain names the malformed header."""
    error = api.send("GET", secrets_of("worker"), b"", headers, anonymous=True).envelope["errors"][0]

    assert [{"code": chained[0], "message": chained[1]}] == error["error_chain"]


def test_a_credential_sent_twice_is_refused(api: Api) -> None:
    """A credential header that is sent twice is refused, even when both values are equal."""
    email, key = (b"x-auth-email", api.credentials.email.encode()), (b"x-auth-key", api.credentials.api_key.encode())

    assert BAD_BEARER == outcome(api, api.bearer, api.bearer)
    assert BAD_BEARER == outcome(api, email, email, key)
    assert BAD_BEARER == outcome(api, email, key, key)
    assert outcome(api, email, key, api.bearer) == 200


@given(st.binary(max_size=60), st.sampled_from([b"authorization", b"x-auth-email", b"x-auth-key"]))
@settings(max_examples=examples(200), deadline=None)
def test_credentials_are_neither_answered_nor_logged(api: Api, value: bytes, header: bytes) -> None:
    """A value that is sent as a credential appears neither in the answer nor in the log."""
    planted = b"planted-value" + bytes(byte for byte in value if byte >= 0x20 and byte != 0x7F)
    both = [(b"x-auth-email", b"nobody@example.com"), (b"x-auth-key", b"k" * 37)]
    with structlog.testing.capture_logs() as log:
        for credential in (planted, b"Bearer " + planted):
            headers = [
                (header, credential),
                *(pair for pair in both if pair[0] != header and header != b"authorization"),
            ]
            answer = api.send("GET", secrets_of("worker"), b"", headers, anonymous=True)
            assert answer.status in {400, 403}
            assert b"planted" not in answer.body
    assert "planted" not in repr(log)


def test_a_refused_caller_is_logged(api: Api) -> None:
    """The log records the reason and the address of a refused request, so that guessing shows."""
    with structlog.testing.capture_logs() as log:
        outcome(api, (b"authorization", b"Bearer " + b"x" * 40))

    assert [("refused", "192.0.2.7", "not_permitted")] == [
        (line["event"], line["address"], line["reason"]) for line in log
    ]
