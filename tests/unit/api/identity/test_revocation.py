"""Revocation of credentials at the next request, and the log of refused and allowed requests."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from msgspec.structs import replace
from tests.unit.api.tools import values
from tests.unit.api.tools.driver import ACCOUNT, JSON, SCRIPTS, Answer, Api, Headers, secret_at, secrets_of
from tests.unit.api.tools.tokens import keep, policies_on, row

from nightsafe.identity.credentials import digest, new_key, new_service_key, new_token
from nightsafe.identity.permissions import ALL_ACCESS
from nightsafe.identity.policy import encode_policies, parse_policies, policies_for
from nightsafe.services.identity.administration import issue_token
from nightsafe.store.identities import Token, User

ROOT = Path(__file__).parents[4]
NOT_PERMITTED = (403, [10000])
CHANGES: list[dict[str, Any]] = [
    {"status": "disabled"},
    {"expires_on": 1},
    {"not_before": 2**52},
    {"policies": b"[]"},
    {"policies": policies_on("billing-*")},
    {"digest": digest("rolled")},
    {"account_id": "f" * 32},
]


@pytest.fixture
def secret(own_api: Api) -> str:
    """Make a script with a secret; return the value of a token to come."""
    own_api.upload("worker")
    own_api.put("worker", values.text("A"))
    return new_token()


def bearer(secret: str) -> Headers:
    """Return the token's header."""
    return [(b"authorization", b"Bearer " + secret.encode())]


def ask(api: Api, secret: str, method: str = "GET") -> Answer:
    """Read a secret, or write it."""
    if method == "GET":
        return api.send("GET", secret_at("worker", "A"), b"", bearer(secret), anonymous=True)
    body = json.dumps(values.text("A")).encode()
    return api.send(method, secrets_of("worker"), body, [*bearer(secret), JSON], anonymous=True)


def replace_in_another_process(api: Api, token: Token) -> None:
    """Replace the token's row from another process."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    subprocess.run(
        [sys.executable, "-m", "tests.engines.tools.store_process", "token", str(api.path)],
        input=msgspec.json.encode(token),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        check=True,
    )


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("changed", CHANGES, ids=lambda columns: next(iter(columns)))
def test_a_changed_token_is_refused_at_the_next_request(
    own_api: Api, secret: str, changed: dict[str, Any], method: str
) -> None:
    """A token whose row changed is refused at the next request, and accepted again when the row is restored."""
    token = row(secret, policies_for(ACCOUNT, ALL_ACCESS))
    keep(own_api, token)
    assert {200} == {ask(own_api, secret, method).status for _ in range(3)}

    keep(own_api, replace(token, **changed))
    assert NOT_PERMITTED == ask(own_api, secret, method).refusal

    keep(own_api, token)
    assert ask(own_api, secret, method).status == 200


@pytest.mark.heavy
@pytest.mark.parametrize("changed", CHANGES, ids=lambda columns: next(iter(columns)))
def test_another_processs_change_of_a_token_applies_at_once(
    own_api: Api, secret: str, changed: dict[str, Any]
) -> None:
    """After another process has changed the row, the next read and the next write are refused."""
    token = row(secret, policies_for(ACCOUNT, ALL_ACCESS))
    keep(own_api, token)
    assert {200} == {ask(own_api, secret).status for _ in range(3)}

    replace_in_another_process(own_api, replace(token, **changed))

    assert NOT_PERMITTED == ask(own_api, secret).refusal
    assert NOT_PERMITTED == ask(own_api, secret, "PUT").refusal


def test_a_changed_condition_applies_at_once(own_api: Api, secret: str) -> None:
    """A changed address condition applies to the next request."""
    token = row(secret, policies_for(ACCOUNT, ALL_ACCESS), condition=b'{"request_ip":{"in":["192.0.2.7"]}}')
    keep(own_api, token)
    assert {200} == {ask(own_api, secret).status for _ in range(3)}

    keep(own_api, replace(token, condition=b'{"request_ip":{"not_in":["192.0.2.0/24"]}}'))

    assert (403, [9109]) == ask(own_api, secret).refusal == ask(own_api, secret, "PUT").refusal


def test_replaced_keys_are_refused_at_once(own_api: Api) -> None:
    """Replaced keys are refused at the next request, and the new keys are accepted."""
    user = own_api.run(own_api.store.user_by_email("owner@example.com"))
    assert user is not None

    def statuses(key: str, service_key: str) -> tuple[int, int]:
        """Return the status that each key gets."""
        pair = [(b"x-auth-email", user.email.encode()), (b"x-auth-key", key.encode())]
        service = [(b"x-auth-user-service-key", service_key.encode())]
        first, second = (own_api.send("GET", SCRIPTS, b"", headers, anonymous=True) for headers in (pair, service))
        return first.status, second.status

    def with_new_keys() -> tuple[User, str, str]:
        """Return the user with new keys, and these keys."""
        key, service_key = new_key(), new_service_key()
        return replace(user, key_digest=digest(key), service_key_digest=digest(service_key)), key, service_key

    old, *old_keys = with_new_keys()
    keep(own_api, old)
    assert (200, 200) == statuses(*old_keys)
    new, *new_keys = with_new_keys()
    keep(own_api, new)

    assert (400, 400) == statuses(*old_keys)
    assert (200, 200) == statuses(*new_keys)


@pytest.mark.parametrize("kind", ["token", "account_token", "key"])
def test_the_log_names_the_caller_and_the_allowing_policy(own_api: Api, secret: str, kind: str) -> None:
    """The entry of a write has the credential's kind and ID, the permission, and the policy that allowed it."""
    policies = policies_on("other-*")[:-1] + b"," + policies_on("work*")[1:]
    [first, second] = (replace(policy, id=f"policy-{policy.id}") for policy in parse_policies(policies))
    token = row(secret, encode_policies([first, second]), account_id=ACCOUNT if kind == "account_token" else "")
    keep(own_api, token)
    user = own_api.run(own_api.store.user_by_email("owner@example.com"))
    assert user is not None
    headers = bearer(secret)
    if kind == "key":
        headers = [(b"x-auth-email", b"owner@example.com"), (b"x-auth-key", own_api.credentials.api_key.encode())]
    body = json.dumps(values.text("A")).encode()
    assert own_api.send("PUT", secrets_of("worker"), body, [*headers, JSON], anonymous=True).status == 200

    entries = own_api.run(own_api.store.audit_entries(ACCOUNT, limit=1000))
    entry = json.loads(entries[-1][1].entry)

    by_key = (user.id, f"membership {ACCOUNT} #0")
    assert (kind, "secrets.write", *(by_key if kind == "key" else (token.id, second.id))) == (
        entry["actor_kind"], entry["permission"], entry["actor"], entry["policy"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "reason", "why"),
    [
        ({"status": "disabled"}, "not_permitted", "token {id} is disabled"),
        ({"expires_on": 1}, "not_permitted", "token {id} is not yet valid, or expired"),
        ({"condition": b'{"request_ip":{"in":["10.0.0.0/8"]}}'}, "address_refused", "192.0.2.7"),
        ({"policies": b"[]"}, "not_permitted", "secrets.read in account {account} is not granted to token {id}"),
        (None, "not_permitted", "no such token"),
    ],
)
def test_a_refusal_is_logged_with_its_reason(
    own_api: Api, secret: str, columns: dict[str, Any] | None, reason: str, why: str
) -> None:
    """The log has the reason that the answer omits, and never the credential."""
    token = replace(row(secret, policies_for(ACCOUNT, ALL_ACCESS)), **(columns or {}))
    if columns is not None:
        keep(own_api, token)
    with structlog.testing.capture_logs() as log:
        ask(own_api, secret)

    assert [(reason, why.format(id=token.id, account=ACCOUNT), "GET")] == [
        (line["reason"], line["why"], line["method"]) for line in log
    ]
    assert secret not in repr(log)


def test_a_token_issued_on_the_machine_works_at_once(own_api: Api, secret: str) -> None:
    """A token issued on the server's machine works at once, within its policies."""
    everything = parse_policies(policies_on("work*"))
    made = own_api.run(issue_token(own_api.store, ACCOUNT, "0" * 32, "a token", policies=everything)).token

    assert secret != made
    assert ask(own_api, made).status == 200
    assert NOT_PERMITTED == own_api.send("GET", SCRIPTS, b"", bearer(made), anonymous=True).refusal
