"""Access by every credential with every permission group, on every kind of resource, by every route."""

import fnmatch
import re
from collections.abc import Iterator

import pytest
from msgspec import Struct
from tests import effort
from tests.unit.api.tools.driver import ACCOUNT, JSON, OTHER_ACCOUNT, Answer, Api, Headers
from tests.unit.api.tools.tokens import keep, row

from nightsafe.api.http.path import policy_name, script_of
from nightsafe.api.http.routing import Gate, Resource
from nightsafe.identity.credentials import digest, new_key, new_service_key, new_token
from nightsafe.identity.permissions import ALL_ACCESS, PERMISSION_GROUPS, Action, PermissionGroup
from nightsafe.identity.policy import ACCOUNT_RESOURCE, ALL_ACCOUNTS, USER_RESOURCE, allow_policy, encode_policies
from nightsafe.store.identities import Account, Membership, User

OWNER = "0123456789abcdef" * 2
ANOTHER_USER = "fedcba9876543210" * 2
EMAIL = "a@example.com"
KINDS = ("token", "account_token", "key", "service_key")

Outcome = tuple[int, list[int]]


class Span(Struct, frozen=True):
    """A resource that a policy allows, and the parts of the requests that it covers."""

    resource: str
    scripts: tuple[str, ...] = ()
    script: bool = False
    account: bool = False
    seen: bool = False
    user: bool = False


HERE = ACCOUNT_RESOURCE + ACCOUNT
SPANS = {
    "the account": Span(HERE, script=True, account=True, seen=True),
    "every account": Span(ACCOUNT_RESOURCE + ALL_ACCOUNTS, script=True, account=True, seen=True),
    "the script": Span(HERE, ("worker",), script=True, seen=True),
    "globs": Span(HERE, ("nothing", "work*"), script=True, seen=True),
    "another glob": Span(HERE, ("billing-*",), seen=True),
    "another account": Span(ACCOUNT_RESOURCE + OTHER_ACCOUNT),
    "the user": Span(USER_RESOURCE + OWNER, user=True),
    "another user": Span(USER_RESOURCE + ANOTHER_USER),
}
OK: Outcome = (200, [])
NOT_PERMITTED = (403, [10000])
NOT_AUTHORIZED = (403, [9109])
INVALID_API_TOKEN = (401, [1000])
V4 = "/client/v4"
DELIVERY = "6e6967687473616665206465c16976e1"
RESEALING = "6e69676874736166652072657365616c"
DELIVERY_PATHS = (
    "changes",
    "checks",
    "checks/{check}",
    "bundles/{script_name}",
    "log-proof",
    "modules/{digest}",
    "processes/{process}",
)
MISSING = "f" * 32
"""The value of path parameters other than the account and the script."""

DECIDED_BY_HANDLER: dict[str, dict[str, Outcome]] = {
    f"{V4}/accounts": dict.fromkeys(KINDS, OK),
    f"{V4}/user/tokens/verify": dict.fromkeys(KINDS, INVALID_API_TOKEN) | {"token": OK},
    f"{V4}/accounts/{{account_id}}/tokens/verify": dict.fromkeys(KINDS, INVALID_API_TOKEN) | {"account_token": OK},
}
"""Answers of handlers that decide about access themselves, by the kind of credential."""

OF_THE_LOG = {f"{V4}/nightsafe/log/{rest}" for rest in ("checkpoint", "tile/{tile:path}", "entries/{tile:path}")}
"""Routes of the transparency log. They are open to every caller who may read the audit log of any account."""

OPEN_TO_ACCOUNT_VIEWERS = {
    f"{V4}/accounts/{{account_id}}/{rest}"
    for rest in (
        "nightsafe/public-ring",
        "storage/kv/namespaces",
        "workers/deployments/by-script/{script_tag}",
        "workers/deployments/by-script/{script_tag}/detail/{deployment_id}",
        "workers/domains",
        "workers/domains/records",
        "workers/durable_objects/namespaces",
        "workers/subdomain",
    )
}
"""Routes that are open to every caller who sees the account.

They answer with lists that are empty in every account, with the public ring, which cannot open any value, or with
scripts found by tag; the handler shows only those that the caller may read.
"""


def routes(api: Api) -> list[Resource]:
    """Return every route of the application."""
    gates = [route.app for route in api.app._router.routes]  # type: ignore[attr-defined]
    assert gates
    assert all(isinstance(gate, Gate) for gate in gates)
    return [resource for gate in gates for resource in gate._by_method.values()]


def ask(api: Api, route: Resource, credentials: Headers, account: str = ACCOUNT) -> Answer:
    """Ask for a route, with the script `worker`, other parameters that do not exist and a body that is not valid."""
    path = route.path.replace("{account_id}", account).replace("{script_name}", "worker")
    body = b"]" if route.method in {"PUT", "POST", "PATCH"} and "/value" not in path else b""
    return api.send(route.method, re.sub(r"{[^}]*}", MISSING, path), body, [*credentials, JSON], anonymous=True)


def outcome_of(answer: Answer) -> Outcome:
    """Return the status and the codes."""
    return answer.status, [] if answer.status == 200 else answer.codes


def expected(route: Resource, kind: str, actions: frozenset[Action], span: Span) -> Outcome | None:
    """Return the expected outcome, or None for the outcome that every permitted caller gets."""
    if route.path == f"{V4}/memberships":
        refused = of_user(Action.READ_MEMBERSHIPS, kind, actions, span) and NOT_PERMITTED
        return (400, [9106]) if kind == "account_token" else refused
    if route.path in OF_THE_LOG:
        elsewhere = span.resource == ACCOUNT_RESOURCE + OTHER_ACCOUNT and kind == "token"
        return None if Action.READ_AUDIT in actions and (span.account or elsewhere) else NOT_PERMITTED
    if not route.is_of_account:
        return (
            DECIDED_BY_HANDLER[route.path][kind]
            if route.action is None
            else of_user(route.action, kind, actions, span)
        )
    if not span.seen:
        return NOT_PERMITTED
    if route.action is None:
        return None if route.path in OPEN_TO_ACCOUNT_VIEWERS else DECIDED_BY_HANDLER[route.path][kind]
    reached = reaches(route, span) if "{script_name}" in route.path else span.account
    return None if reached and route.action in actions else NOT_PERMITTED


def reaches(route: Resource, span: Span) -> bool:
    """Return whether a span covers the script in a route's path, in a namespace, an environment or neither."""
    names = dict.fromkeys(re.findall(r"{(\w+)}", route.path), MISSING) | {"script_name": "worker"}
    name = policy_name(script_of(ACCOUNT, names))
    return any(fnmatch.fnmatchcase(name, glob) for glob in span.scripts) if span.scripts else span.script


def of_user(action: Action, kind: str, actions: frozenset[Action], span: Span) -> Outcome | None:
    """Return the outcome of a request about the caller's own user, or None as `expected` does."""
    if kind in {"key", "service_key"}:
        return None
    return None if kind == "token" and span.user and action in actions else NOT_AUTHORIZED


def people(kind: str, secret: str, policies: bytes) -> Iterator[Account | User | Membership]:
    """Yield two accounts and their member; with a key as credential, the memberships have the policies."""
    key = digest(secret) if kind == "key" else digest(new_key())
    yield User(OWNER, EMAIL, key, 0, digest(secret) if kind == "service_key" else None)
    for account in (ACCOUNT, OTHER_ACCOUNT):
        yield Account(account, "an account", 0)
        of_account = policies if kind.endswith("key") and account == ACCOUNT else b"[]"
        yield Membership(account, OWNER, of_account, 0)


def credential(api: Api, kind: str, policies: bytes) -> Headers:
    """Store a credential of this kind with these policies; return its headers."""
    secret = {"key": new_key, "service_key": new_service_key}.get(kind, new_token)()
    account = ACCOUNT if kind == "account_token" else ""
    tokens = [row(secret, policies, user_id=OWNER, account_id=account)] if kind.endswith("token") else []
    keep(api, *people(kind, secret, policies), *tokens)
    if kind == "key":
        return [(b"x-auth-email", EMAIL.encode()), (b"x-auth-key", secret.encode())]
    if kind == "service_key":
        return [(b"x-auth-user-service-key", secret.encode())]
    return [(b"authorization", b"Bearer " + secret.encode())]


@pytest.fixture(scope="module")
def permitted(api: Api) -> dict[tuple[str, str], Outcome]:
    """Return each route's outcome for a caller who may do everything."""
    everything = [allow_policy(name, ALL_ACCESS) for name in (HERE, USER_RESOURCE + OWNER)]
    everything.append(allow_policy(HERE, DELIVERY, RESEALING))
    credentials = credential(api, "token", encode_policies(everything))
    keep(api, *people("token", "", b"[]"))
    api.send("DELETE", f"{V4}/accounts/{ACCOUNT}/workers/scripts/worker")
    return {(route.method, route.path): outcome_of(ask(api, route, credentials)) for route in routes(api)}


def test_every_route_has_an_expected_outcome(api: Api, permitted: dict[tuple[str, str], Outcome]) -> None:
    """Every route has an expected outcome, no permitted caller is refused, and every action is used."""
    undecided = {route.path for route in routes(api) if route.action is None}

    assert len(permitted) == len(routes(api))
    assert undecided == {*DECIDED_BY_HANDLER, *OPEN_TO_ACCOUNT_VIEWERS, *OF_THE_LOG, f"{V4}/memberships"}
    assert {path for (_, path), (status, _) in permitted.items() if status in {401, 403}} == {
        f"{V4}/accounts/{{account_id}}/tokens/verify"
    }
    used = {route.action for route in routes(api)}
    assert set(Action) - {Action.READ_MEMBERSHIPS} == (used | {Action.READ_AUDIT}) - {None}


def test_the_delivery_permission_is_separate(api: Api) -> None:
    """Only the delivery permission gives access to the delivery routes, and it gives access to nothing else."""
    of_delivery = {route.path for route in routes(api) if route.action is Action.DELIVER}
    granting = {group.id for group in PERMISSION_GROUPS.values() if Action.DELIVER in group.actions}

    assert {f"{V4}/accounts/{{account_id}}/nightsafe/{rest}" for rest in DELIVERY_PATHS} == of_delivery
    assert {DELIVERY} == granting
    assert {Action.DELIVER} == PERMISSION_GROUPS[DELIVERY].actions


@pytest.mark.heavy
@pytest.mark.parametrize("group", PERMISSION_GROUPS.values(), ids=lambda group: group.name)
@pytest.mark.parametrize("kind", KINDS)
def test_every_combination_of_credential_and_route_is_decided(
    api: Api, permitted: dict[tuple[str, str], Outcome], kind: str, group: PermissionGroup
) -> None:
    """Each combination of credential, permission group, resource and route has its status and code.

    By default the tests cover every combination of three of the four; thorough runs cover all combinations of the
    four.
    """
    turn = KINDS.index(kind) + list(PERMISSION_GROUPS).index(group.id)
    for number, (name, span) in enumerate(SPANS.items(), turn):
        policies = encode_policies([allow_policy(span.resource, group.id, scripts=span.scripts)])
        credentials = credential(api, kind, policies)
        step = effort.chosen(thorough=1, quick=len(KINDS))
        for route in routes(api)[number % step :: step]:
            outcome = expected(route, kind, group.actions, span)
            if outcome is None:
                outcome = permitted[route.method, route.path]
            assert outcome == outcome_of(ask(api, route, credentials)), (name, route.method, route.path)


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_account_answers_like_an_invisible_one(api: Api, kind: str) -> None:
    """Both answers are equal byte for byte, even when the caller's policies name the missing account."""
    nowhere = "e" * 32
    for resource in (HERE, ACCOUNT_RESOURCE + ALL_ACCOUNTS, ACCOUNT_RESOURCE + nowhere):
        credentials = credential(api, kind, encode_policies([allow_policy(resource, ALL_ACCESS)]))
        unseen = credential(api, kind, encode_policies([allow_policy(USER_RESOURCE + OWNER, ALL_ACCESS)]))
        for route in routes(api):
            if route.is_of_account:
                if kind == "token":
                    first = ask(api, route, credentials, nowhere)
                    assert NOT_PERMITTED == outcome_of(first)
                    assert first == ask(api, route, unseen, ACCOUNT)
                else:
                    assert NOT_PERMITTED == outcome_of(ask(api, route, unseen, ACCOUNT))


@pytest.mark.parametrize("columns", [{"status": "disabled"}, {"expires_on": 1}, {"not_before": 2**52}, None])
def test_invalid_tokens_are_refused_by_every_route(api: Api, columns: dict[str, object] | None) -> None:
    """An unknown, disabled, expired or not yet valid token gets the same answer, in the form of each route."""
    secret = new_token()
    if columns is not None:
        everything = encode_policies(
            [allow_policy(HERE, ALL_ACCESS), allow_policy(USER_RESOURCE + OWNER, ALL_ACCESS)]
        )
        keep(api, row(secret, everything, user_id=OWNER, **columns))  # type: ignore[arg-type]
    for route in routes(api):
        outcome = NOT_PERMITTED if route.is_of_account else NOT_AUTHORIZED
        if route.path.endswith("/verify"):
            outcome = INVALID_API_TOKEN
        elif route.path == f"{V4}/memberships":
            outcome = (400, [9106])
        answer = ask(api, route, [(b"authorization", b"Bearer " + secret.encode())])
        assert outcome == outcome_of(answer), route.path
        if outcome == NOT_AUTHORIZED:
            assert ["Invalid access token"] == answer.messages


def test_every_route_refuses_a_forbidden_address(api: Api) -> None:
    """Every route refuses an address outside a token's condition with 403 / 9109 and the address."""
    secret = new_token()
    condition = b'{"request_ip":{"in":["198.51.100.0/24"]}}'
    keep(api, row(secret, encode_policies([allow_policy(HERE, ALL_ACCESS)]), user_id=OWNER, condition=condition))
    for route in routes(api):
        answer = ask(api, route, [(b"authorization", b"Bearer " + secret.encode())])
        assert NOT_AUTHORIZED == outcome_of(answer)
        assert ["Cannot use the access token from location: 192.0.2.7"] == answer.messages
