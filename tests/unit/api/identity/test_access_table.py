"""Who may do what: every credential, with every permission group, on every kind of resource, by every route."""

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
from nightsafe.identity.policy import ACCOUNT_RESOURCE, EVERY, USER_RESOURCE, allowing, encode_policies
from nightsafe.store.identities import Account, Membership, User

OWNER = "0123456789abcdef" * 2
SOMEBODY = "fedcba9876543210" * 2
EMAIL = "a@example.com"
KINDS = ("token", "account_token", "key", "service_key")

Outcome = tuple[int, list[int]]


class Span(Struct, frozen=True):
    """What a permission is given on, and what of it the requests are about."""

    resource: str
    scripts: tuple[str, ...] = ()
    script: bool = False
    account: bool = False
    seen: bool = False
    user: bool = False


HERE = ACCOUNT_RESOURCE + ACCOUNT
SPANS = {
    "the account": Span(HERE, script=True, account=True, seen=True),
    "every account": Span(ACCOUNT_RESOURCE + EVERY, script=True, account=True, seen=True),
    "the script": Span(HERE, ("worker",), script=True, seen=True),
    "globs": Span(HERE, ("nothing", "work*"), script=True, seen=True),
    "another glob": Span(HERE, ("billing-*",), seen=True),
    "another account": Span(ACCOUNT_RESOURCE + OTHER_ACCOUNT),
    "the user": Span(USER_RESOURCE + OWNER, user=True),
    "another user": Span(USER_RESOURCE + SOMEBODY),
}
OK: Outcome = (200, [])
NOT_PERMITTED = (403, [10000])
NOT_AUTHORIZED = (403, [9109])
INVALID_API_TOKEN = (401, [1000])
V4 = "/client/v4"
DELIVERY = "6e6967687473616665206465c16976e1"
RESEALING = "6e69676874736166652072657365616c"
DELIVERED = (
    "changes",
    "checks",
    "checks/{check}",
    "bundles/{script_name}",
    "modules/{digest}",
    "processes/{process}",
)
ELSEWHERE = "f" * 32
"""What a path names beside an account and a script."""

DECIDED_BY_HANDLER: dict[str, dict[str, Outcome]] = {
    f"{V4}/accounts": dict.fromkeys(KINDS, OK),
    f"{V4}/user/tokens/verify": dict.fromkeys(KINDS, INVALID_API_TOKEN) | {"token": OK},
    f"{V4}/accounts/{{account_id}}/tokens/verify": dict.fromkeys(KINDS, INVALID_API_TOKEN) | {"account_token": OK},
}
"""What those are told who come through to a handler that decides itself, by the credential's kind."""

TOLD_TO_WHOEVER_SEES = {
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
"""Lists of what no account has, which say nothing of it, what values are sealed to, which opens none, and scripts by
their tags, of which the handler tells only who may read them."""


def routes(api: Api) -> list[Resource]:
    """Every route that the application has."""
    gates = [route.app for route in api.app._router.routes]  # type: ignore[attr-defined]
    assert gates
    assert all(isinstance(gate, Gate) for gate in gates)
    return [resource for gate in gates for resource in gate._by_method.values()]


def ask(api: Api, route: Resource, credentials: Headers, account: str = ACCOUNT) -> Answer:
    """Ask for a route, about a script `worker` and otherwise what is not there, with a body that no handler takes."""
    path = route.path.replace("{account_id}", account).replace("{script_name}", "worker")
    body = b"]" if route.method in {"PUT", "POST", "PATCH"} and "/value" not in path else b""
    return api.send(route.method, re.sub(r"{[^}]*}", ELSEWHERE, path), body, [*credentials, JSON], anonymous=True)


def told(answer: Answer) -> Outcome:
    """The status and the codes."""
    return answer.status, [] if answer.status == 200 else answer.codes


def expected(route: Resource, kind: str, actions: frozenset[Action], span: Span) -> Outcome | None:
    """The outcome, or None for what the handler tells everybody whom it is allowed."""
    if route.path == f"{V4}/memberships":
        refused = of_user(Action.READ_MEMBERSHIPS, kind, actions, span) and NOT_PERMITTED
        return (400, [9106]) if kind == "account_token" else refused
    if not route.is_of_account:
        return (
            DECIDED_BY_HANDLER[route.path][kind]
            if route.action is None
            else of_user(route.action, kind, actions, span)
        )
    if not span.seen:
        return NOT_PERMITTED
    if route.action is None:
        return None if route.path in TOLD_TO_WHOEVER_SEES else DECIDED_BY_HANDLER[route.path][kind]
    reached = reaches(route, span) if "{script_name}" in route.path else span.account
    return None if reached and route.action in actions else NOT_PERMITTED


def reaches(route: Resource, span: Span) -> bool:
    """Whether a span covers the script that a path with one leads to, in a namespace or an environment or in none."""
    names = dict.fromkeys(re.findall(r"{(\w+)}", route.path), ELSEWHERE) | {"script_name": "worker"}
    name = policy_name(script_of(ACCOUNT, names))
    return any(fnmatch.fnmatchcase(name, glob) for glob in span.scripts) if span.scripts else span.script


def of_user(action: Action, kind: str, actions: frozenset[Action], span: Span) -> Outcome | None:
    """The outcome of a request about the caller's own user."""
    if kind in {"key", "service_key"}:
        return None
    return None if kind == "token" and span.user and action in actions else NOT_AUTHORIZED


def people(kind: str, secret: str, policies: bytes) -> Iterator[Account | User | Membership]:
    """Two accounts and their member, whose key the secret may be; then memberships say what it may do."""
    key = digest(secret) if kind == "key" else digest(new_key())
    yield User(OWNER, EMAIL, key, 0, digest(secret) if kind == "service_key" else None)
    for account in (ACCOUNT, OTHER_ACCOUNT):
        yield Account(account, "an account", 0)
        of_account = policies if kind.endswith("key") and account == ACCOUNT else b"[]"
        yield Membership(account, OWNER, of_account, 0)


def credential(api: Api, kind: str, policies: bytes) -> Headers:
    """A credential of a kind that has these policies, kept in the store."""
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
    """What each route tells one who may do everything, of what is not there and of bodies that are none."""
    everything = [allowing(name, ALL_ACCESS) for name in (HERE, USER_RESOURCE + OWNER)]
    everything.append(allowing(HERE, DELIVERY, RESEALING))
    credentials = credential(api, "token", encode_policies(everything))
    keep(api, *people("token", "", b"[]"))
    api.send("DELETE", f"{V4}/accounts/{ACCOUNT}/workers/scripts/worker")
    return {(route.method, route.path): told(ask(api, route, credentials)) for route in routes(api)}


def test_every_route_is_in_the_table(api: Api, permitted: dict[tuple[str, str], Outcome]) -> None:
    """There is one answer for each, none of those to the permitted is a refusal of them, and actions are used."""
    undecided = {route.path for route in routes(api) if route.action is None}

    assert len(permitted) == len(routes(api))
    assert undecided == {*DECIDED_BY_HANDLER, *TOLD_TO_WHOEVER_SEES, f"{V4}/memberships"}
    assert {path for (_, path), (status, _) in permitted.items() if status in {401, 403}} == {
        f"{V4}/accounts/{{account_id}}/tokens/verify"
    }
    named = {route.action for route in routes(api)}
    assert set(Action) - {Action.READ_MEMBERSHIPS} == named - {None}


def test_delivery_is_apart(api: Api) -> None:
    """What delivery asks for is given to no other permission, and its permission gives nothing else."""
    of_delivery = {route.path for route in routes(api) if route.action is Action.DELIVER}
    giving = {group.id for group in PERMISSION_GROUPS.values() if Action.DELIVER in group.actions}

    assert {f"{V4}/accounts/{{account_id}}/nightsafe/{rest}" for rest in DELIVERED} == of_delivery
    assert {DELIVERY} == giving
    assert {Action.DELIVER} == PERMISSION_GROUPS[DELIVERY].actions


@pytest.mark.parametrize("group", PERMISSION_GROUPS.values(), ids=lambda group: group.name)
@pytest.mark.parametrize("kind", KINDS)
def test_every_combination(
    api: Api, permitted: dict[tuple[str, str], Outcome], kind: str, group: PermissionGroup
) -> None:
    """Credential by permission group by resource by route: each has its status and its code.

    By default every three of the four are met together; all four are when the tests are thorough.
    """
    turn = KINDS.index(kind) + list(PERMISSION_GROUPS).index(group.id)
    for number, (name, span) in enumerate(SPANS.items(), turn):
        policies = encode_policies([allowing(span.resource, group.id, scripts=span.scripts)])
        credentials = credential(api, kind, policies)
        step = effort.every(fast=5 * len(KINDS), quick=len(KINDS))
        for route in routes(api)[number % step :: step]:
            outcome = expected(route, kind, group.actions, span)
            if outcome is None:
                outcome = permitted[route.method, route.path]
            assert outcome == told(ask(api, route, credentials)), (name, route.method, route.path)


@pytest.mark.parametrize("kind", KINDS)
def test_an_account_that_is_not_there_looks_like_one_that_is_not_seen(api: Api, kind: str) -> None:
    """Byte for byte, also for those whose policies name it, or every account."""
    nowhere = "e" * 32
    for resource in (HERE, ACCOUNT_RESOURCE + EVERY, ACCOUNT_RESOURCE + nowhere):
        credentials = credential(api, kind, encode_policies([allowing(resource, ALL_ACCESS)]))
        unseen = credential(api, kind, encode_policies([allowing(USER_RESOURCE + OWNER, ALL_ACCESS)]))
        for route in routes(api):
            if route.is_of_account:
                if kind == "token":
                    first = ask(api, route, credentials, nowhere)
                    assert NOT_PERMITTED == told(first)
                    assert first == ask(api, route, unseen, ACCOUNT)
                else:
                    assert NOT_PERMITTED == told(ask(api, route, unseen, ACCOUNT))


@pytest.mark.parametrize("columns", [{"status": "disabled"}, {"expires_on": 1}, {"not_before": 2**52}, None])
def test_unknown_tokens_are_told_so_in_each_routes_words(api: Api, columns: dict[str, object] | None) -> None:
    """Whether nobody knows it, or it is disabled, expired or not yet valid: one answer for each route."""
    secret = new_token()
    if columns is not None:
        everything = encode_policies([allowing(HERE, ALL_ACCESS), allowing(USER_RESOURCE + OWNER, ALL_ACCESS)])
        keep(api, row(secret, everything, user_id=OWNER, **columns))  # type: ignore[arg-type]
    for route in routes(api):
        outcome = NOT_PERMITTED if route.is_of_account else NOT_AUTHORIZED
        if route.path.endswith("/verify"):
            outcome = INVALID_API_TOKEN
        elif route.path == f"{V4}/memberships":
            outcome = (400, [9106])
        answer = ask(api, route, [(b"authorization", b"Bearer " + secret.encode())])
        assert outcome == told(answer), route.path
        if outcome == NOT_AUTHORIZED:
            assert ["Invalid access token"] == answer.messages


def test_an_address_is_refused_alike_everywhere(api: Api) -> None:
    """403 / 9109 with the address, by every route, whatever the token may do."""
    secret = new_token()
    condition = b'{"request_ip":{"in":["198.51.100.0/24"]}}'
    keep(api, row(secret, encode_policies([allowing(HERE, ALL_ACCESS)]), user_id=OWNER, condition=condition))
    for route in routes(api):
        answer = ask(api, route, [(b"authorization", b"Bearer " + secret.encode())])
        assert NOT_AUTHORIZED == told(answer)
        assert ["Cannot use the access token from location: 192.0.2.7"] == answer.messages
