"""Permissions of credentials, and how soon a change of them takes effect."""

import json
import uuid

import msgspec
import pytest
from tests.clients.tokens import READ, TAIL, WRITE, in_store, make_account, make_token, policy, write
from tests.clients.wire.talk import JSON, SCRIPTS, Wire, token_header
from tests.server import ACCOUNT, Server

from nightsafe.identity.credentials import digest, new_key
from nightsafe.identity.permissions import ALL_ACCESS

SECRET = json.dumps({"name": "planted", "text": "a value", "type": "secret_text"}).encode()
PATCH = b'{"secrets":{"mine":null}}'
READ_SCRIPTS = (("GET", "", b""), ("GET", "/{script}", b""), ("GET", "/{script}/settings", b""))
READ_SECRETS = (("GET", "/{script}/secrets", b""), ("GET", "/{script}/secrets/mine", b""))
WRITES = (
    ("PUT", "/{script}/secrets", SECRET),
    ("PATCH", "/{script}/secrets-bulk", PATCH),
    ("DELETE", "/{script}/secrets/mine", b""),
    ("PUT", "/{script}", b""),
    ("DELETE", "/{script}", b""),
)
Calls = tuple[tuple[str, str, bytes], ...]


def statuses(wire: Wire, script: str, token: str, calls: Calls) -> set[int]:
    """Return the statuses that a token gets for some calls, after checking that each refusal has code 10000."""
    answers = [
        wire.ask(method, SCRIPTS + path.format(script=script), body, [JSON] if body else [], token_header(token))
        for method, path, body in calls
    ]
    assert {"Authentication error"} >= {
        message for answer in answers if answer.status == 403 for message in answer.messages
    }
    assert {10000} >= {code for answer in answers if answer.status == 403 for code in answer.refusal[1]}
    return {answer.status for answer in answers}


@pytest.mark.parametrize(
    ("groups", "allowed"),
    [
        ((READ,), READ_SCRIPTS + READ_SECRETS),
        ((TAIL,), READ_SECRETS),
        ((READ, TAIL), READ_SCRIPTS + READ_SECRETS),
        (("f" * 32,), ()),
        ((), ()),
    ],
)
def test_a_token_can_do_only_what_its_groups_allow(
    wire: Wire, script: str, server: Server, groups: tuple[str, ...], allowed: Calls
) -> None:
    """A token can do what its permission groups allow; other calls are refused and change nothing."""
    wire.put(script, "mine")
    token, _ = make_token(server.safe, policy(*groups, account_id=ACCOUNT))
    refused = tuple(call for call in READ_SCRIPTS + READ_SECRETS + WRITES if call not in allowed)

    assert statuses(wire, script, token, allowed) == ({200} if allowed else set())
    assert statuses(wire, script, token, refused) == {403}
    assert wire.names(script) == ["mine"]


@pytest.mark.parametrize("group", [WRITE, ALL_ACCESS])
def test_workers_scripts_write_allows_everything(wire: Wire, script: str, server: Server, group: str) -> None:
    """Workers Scripts Write allows everything."""
    wire.put(script, "mine")
    token, _ = make_token(server.safe, policy(group, account_id=ACCOUNT))

    assert statuses(wire, script, token, READ_SCRIPTS + READ_SECRETS + WRITES[:2]) == {200}


@pytest.mark.parametrize(
    "policies",
    [
        [],
        [policy(ALL_ACCESS, account_id=ACCOUNT), policy(WRITE, account_id=ACCOUNT, effect="deny")],
        [policy(WRITE, account_id=ACCOUNT, effect="deny"), policy(ALL_ACCESS, account_id=ACCOUNT)],
        [policy(ALL_ACCESS, account_id=uuid.UUID(int=1).hex)],
        [policy(ALL_ACCESS, account_id="*"), policy(WRITE, account_id="*", effect="deny")],
        [policy(ALL_ACCESS, account_id=ACCOUNT), policy(WRITE, account_id="*", effect="deny")],
        [policy(ALL_ACCESS, account_id=ACCOUNT, scope="none")],
        [policy(ALL_ACCESS, account_id=ACCOUNT[:-1])],
    ],
)
def test_policies_without_effect_allow_nothing(
    wire: Wire, script: str, server: Server, policies: list[dict[str, object]]
) -> None:
    """The default is deny, deny wins in any order, and only the exact account matches."""
    wire.put(script, "mine")
    token, _ = make_token(server.safe, policies=msgspec.json.encode(policies))

    assert statuses(wire, script, token, READ_SCRIPTS + READ_SECRETS + WRITES) == {403}
    assert wire.names(script) == ["mine"]


def test_another_account_looks_like_a_missing_one(wire: Wire, script: str, server: Server) -> None:
    """With a token of account A, existing and missing scripts in B and a missing account give the same answer."""
    other = make_account(server.safe)
    there = f"/client/v4/accounts/{other.account_id}/workers/scripts"
    with Wire(server.port, token_header(other.api_token)) as owner:
        assert owner.ask("GET", there).result == []
        assert owner.ask("GET", f"{SCRIPTS}/{script}/secrets").refusal == (403, [10000])

    nowhere = f"/client/v4/accounts/{uuid.uuid4().hex}/workers/scripts"
    paths = [f"{account}{rest}" for account in (there, nowhere) for rest in ("", "/s", "/s/secrets", "/s/secrets/x")]
    answers = [wire.ask("GET", path) for path in paths]

    assert {answer.refusal[0] for answer in answers} == {403}
    assert len({answer.body for answer in answers}) == 1
    assert len({tuple(name for name, _ in answer.headers) for answer in answers}) == 1


@pytest.mark.parametrize(
    "changed",
    [{"expires_on": 1}, {"not_before": 2**60}, {"status": "disabled"}, {"status": "ACTIVE"}, {"expires_on": 0}],
)
def test_an_invalid_token_is_answered_like_an_unknown_one(
    wire: Wire, script: str, server: Server, changed: dict[str, object]
) -> None:
    """An expired, not yet valid or disabled token is answered like an unknown one."""
    wire.put(script, "mine")
    token, _ = make_token(server.safe, **changed)
    target = f"{SCRIPTS}/{script}/secrets/mine"

    refused = wire.ask("GET", target, credentials=token_header(token))

    assert refused.refusal == (403, [10000])
    assert refused.body == wire.ask("GET", target, credentials=token_header("unknown")).body


@pytest.mark.parametrize(
    "change",
    [{"status": "disabled"}, {"expires_on": 1}, {"policies": b"[]"}, {"digest": bytes(32)}, {"not_before": 2**60}],
)
def test_a_revoked_token_is_refused_by_the_next_request(
    wire: Wire, script: str, server: Server, change: dict[str, object]
) -> None:
    """Any change by another process takes effect at the next request, even if the token was used just before."""
    wire.put(script, "mine")
    token, row = make_token(server.safe)
    target = f"{SCRIPTS}/{script}/secrets/mine"
    assert {wire.ask("GET", target, credentials=token_header(token)).status for _ in range(5)} == {200}

    write(server.safe, msgspec.structs.replace(row, **change))

    assert wire.ask("GET", target, credentials=token_header(token)).refusal == (403, [10000])
    assert wire.ask("DELETE", target, credentials=token_header(token)).refusal == (403, [10000])
    write(server.safe, row)
    assert wire.ask("GET", target, credentials=token_header(token)).status == 200


def test_a_changed_key_is_refused_by_the_next_request(wire: Wire, server: Server) -> None:
    """A global API key that another process replaced is unknown at once, and the new key is valid at once."""
    other = make_account(server.safe)
    target = f"/client/v4/accounts/{other.account_id}/workers/scripts"
    email = ("X-Auth-Email", other.email)
    assert wire.ask("GET", target, credentials=[email, ("X-Auth-Key", other.api_key)]).status == 200

    user = in_store(server.safe, lambda store: store.user_by_email(other.email))
    assert user is not None
    key = new_key()
    write(server.safe, msgspec.structs.replace(user, key_digest=digest(key)))

    assert wire.ask("GET", target, credentials=[email, ("X-Auth-Key", other.api_key)]).refusal == (400, [9103])
    assert wire.ask("GET", target, credentials=[email, ("X-Auth-Key", key)]).status == 200
