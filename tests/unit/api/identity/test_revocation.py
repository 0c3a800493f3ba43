"""How soon a credential may do something no longer, and what the log says of those that might and those that may."""

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
    """A script with a secret; gives a token's value for it."""
    own_api.upload("worker")
    own_api.put("worker", values.text("A"))
    return new_token()


def bearer(secret: str) -> Headers:
    """Its header."""
    return [(b"authorization", b"Bearer " + secret.encode())]


def ask(api: Api, secret: str, method: str = "GET") -> Answer:
    """Read a secret, or write it."""
    if method == "GET":
        return api.send("GET", secret_at("worker", "A"), b"", bearer(secret), anonymous=True)
    body = json.dumps(values.text("A")).encode()
    return api.send(method, secrets_of("worker"), body, [*bearer(secret), JSON], anonymous=True)


def elsewhere(api: Api, token: Token) -> None:
    """Replace the row from another process."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    subprocess.run(
        [sys.executable, "-m", "tests.unit.api.tools.child", str(api.path)],
        input=msgspec.json.encode(token),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        check=True,
    )


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("changed", CHANGES, ids=lambda one: next(iter(one)))
def test_the_next_request_is_refused(own_api: Api, secret: str, changed: dict[str, Any], method: str) -> None:
    """Whatever is taken from it, and however often it was used just before; given back, it is good again."""
    token = row(secret, policies_for(ACCOUNT, ALL_ACCESS))
    keep(own_api, token)
    assert {200} == {ask(own_api, secret, method).status for _ in range(3)}

    keep(own_api, replace(token, **changed))
    assert NOT_PERMITTED == ask(own_api, secret, method).refusal

    keep(own_api, token)
    assert ask(own_api, secret, method).status == 200


@pytest.mark.parametrize("changed", CHANGES, ids=lambda one: next(iter(one)))
def test_another_process_s_commit_counts_at_once(own_api: Api, secret: str, changed: dict[str, Any]) -> None:
    """The next request after the other process is done is refused, on the short way and on the long one."""
    token = row(secret, policies_for(ACCOUNT, ALL_ACCESS))
    keep(own_api, token)
    assert {200} == {ask(own_api, secret).status for _ in range(3)}

    elsewhere(own_api, replace(token, **changed))

    assert NOT_PERMITTED == ask(own_api, secret).refusal
    assert NOT_PERMITTED == ask(own_api, secret, "PUT").refusal


def test_a_condition_counts_at_once(own_api: Api, secret: str) -> None:
    """A token that may come from here no longer is told so by the next request."""
    token = row(secret, policies_for(ACCOUNT, ALL_ACCESS), condition=b'{"request_ip":{"in":["192.0.2.7"]}}')
    keep(own_api, token)
    assert {200} == {ask(own_api, secret).status for _ in range(3)}

    keep(own_api, replace(token, condition=b'{"request_ip":{"not_in":["192.0.2.0/24"]}}'))

    assert (403, [9109]) == ask(own_api, secret).refusal == ask(own_api, secret, "PUT").refusal


def test_replaced_keys_are_dead_at_once(own_api: Api) -> None:
    """Of a user's two keys the old ones are unknown and the new ones known by the next request."""
    user = own_api.run(own_api.store.user_by_email("owner@example.com"))
    assert user is not None

    def statuses(key: str, service_key: str) -> tuple[int, int]:
        """How either key fares."""
        pair = [(b"x-auth-email", user.email.encode()), (b"x-auth-key", key.encode())]
        service = [(b"x-auth-user-service-key", service_key.encode())]
        first, second = (own_api.send("GET", SCRIPTS, b"", one, anonymous=True) for one in (pair, service))
        return first.status, second.status

    def replaced() -> tuple[User, str, str]:
        """The user with new keys."""
        key, service_key = new_key(), new_service_key()
        return replace(user, key_digest=digest(key), service_key_digest=digest(service_key)), key, service_key

    old, *old_keys = replaced()
    keep(own_api, old)
    assert (200, 200) == statuses(*old_keys)
    new, *new_keys = replaced()
    keep(own_api, new)

    assert (400, 400) == statuses(*old_keys)
    assert (200, 200) == statuses(*new_keys)


@pytest.mark.parametrize("kind", ["token", "account_token", "key"])
def test_the_log_says_who_was_allowed_by_what(own_api: Api, secret: str, kind: str) -> None:
    """A write's entry has the credential's kind and id, the permission, and the policy that allowed it."""
    policies = policies_on("other-*")[:-1] + b"," + policies_on("work*")[1:]
    [first, second] = (replace(one, id=f"policy-{one.id}") for one in parse_policies(policies))
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
    """What the answer does not tell, the log does; never the credential."""
    token = replace(row(secret, policies_for(ACCOUNT, ALL_ACCESS)), **(columns or {}))
    if columns is not None:
        keep(own_api, token)
    with structlog.testing.capture_logs() as log:
        ask(own_api, secret)

    assert [(reason, why.format(id=token.id, account=ACCOUNT), "GET")] == [
        (one["reason"], one["why"], one["method"]) for one in log
    ]
    assert secret not in repr(log)


def test_a_token_made_at_the_machine_is_good_at_once(own_api: Api, secret: str) -> None:
    """Without waiting, and with what its policies say."""
    everything = parse_policies(policies_on("work*"))
    made = own_api.run(issue_token(own_api.store, ACCOUNT, "0" * 32, "a token", policies=everything)).token

    assert secret != made
    assert ask(own_api, made).status == 200
    assert NOT_PERMITTED == own_api.send("GET", SCRIPTS, b"", bearer(made), anonymous=True).refusal
