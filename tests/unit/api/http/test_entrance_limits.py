"""Rate limits in front of the whole application."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.api.tools.driver import SCRIPTS, Answer, Api

from nightsafe.api.http.entrance import with_rate_limits
from nightsafe.services.identity.administration import create_user
from nightsafe.services.limits import Limits

OTHER_ACCOUNT = SCRIPTS.replace("023e", "123e")
BAD = [
    (b"authorization", b"Bearer nobody"),
    (b"authorization", b"Basic eDp5"),
    (b"x-auth-user-service-key", b"v1.0-nobody"),
]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """Yield an API of this test's own."""
    with Api(tmp_path) as made:
        yield made


def ask(api: Api, app: Any, path: str = SCRIPTS, credential: tuple[bytes, bytes] | None = None) -> Answer:
    """GET with the owner's token or another credential."""
    headers = [] if credential is None else [credential]
    return api.send("GET", path, b"", headers, anonymous=credential is not None, to=app)


def test_the_application_is_not_wrapped_without_limits() -> None:
    """With all limits off, the application is not wrapped."""
    app: Any = object()

    assert with_rate_limits(app, Limits(auth_failures=0)) is app


def test_a_credential_over_its_limit_gets_971(api: Api) -> None:
    """A credential over its limit gets code 971, its quota, and a Retry-After short enough for clients to wait."""
    app = with_rate_limits(api.app, Limits(rate_limit=2, auth_failures=0))

    answers = [ask(api, app) for _ in range(4)]

    assert [answer.status for answer in answers] == [200, 200, 429, 429]
    assert [answer.header(b"ratelimit") for answer in answers[:3]] == [
        b'"default";r=1;t=300',
        b'"default";r=0;t=300',
        b'"default";r=0;t=300',
    ]
    assert {answer.header(b"ratelimit-policy") for answer in answers} == {b'"default";q=2;w=300'}
    assert [answer.header(b"retry-after") for answer in answers] == [None, None, b"60", b"60"]
    assert answers[2].refusal == (429, [971])
    assert answers[2].messages == ["Please wait and consider throttling your request speed"]


def test_other_credentials_and_probes_are_not_limited(api: Api) -> None:
    """Another credential of the same user, a request without credentials and a probe are not limited."""
    app = with_rate_limits(api.app, Limits(rate_limit=1, auth_failures=0))
    for _ in range(3):
        ask(api, app)

    key = [
        (b"x-auth-email", api.credentials.email.encode()),
        (b"x-auth-key", api.credentials.api_key.encode()),
    ]
    assert api.send("GET", SCRIPTS, b"", key, anonymous=True, to=app).status == 200
    assert api.send("GET", SCRIPTS, anonymous=True, to=app).refusal == (400, [9106])
    assert ask(api, app, "/readyz", (b"authorization", b"Bearer another")).status == 200


def test_the_body_of_a_refused_upload_is_discarded(api: Api) -> None:
    """An upload over the limit is refused, and its body is read to its end."""
    app = with_rate_limits(api.app, Limits(rate_limit=1, auth_failures=0))
    ask(api, app)

    answer = api.send("PUT", f"{SCRIPTS}/mine", [b"x" * 1000] * 5, to=app)

    assert answer.refusal == (429, [971])


@pytest.mark.parametrize("bad", BAD)
def test_an_address_over_its_failure_limit_gets_10502(api: Api, bad: tuple[bytes, bytes]) -> None:
    """Failures up to the limit get their usual answers; after them, every bad credential gets 10502."""
    app = with_rate_limits(api.app, Limits(auth_failures=3))

    failed = [ask(api, app, credential=bad) for _ in range(3)]
    answers = [ask(api, app, credential=each) for each in BAD]
    answers.append(ask(api, app, "/client/v4/user/tokens/verify", bad))

    assert 429 not in {answer.status for answer in failed}
    assert [answer.refusal for answer in answers] == [(429, [10502])] * 4
    assert {answer.messages[0] for answer in answers} == {"Too many authentication failures"}
    assert all(0 < int(answer.header(b"retry-after") or 0) <= 60 for answer in answers)
    assert len({(answer.body, answer.headers) for answer in answers}) == 1
    assert api.send("GET", "/livez", anonymous=True, to=app).status == 200


def test_a_good_credential_passes_at_a_blocked_address(api: Api) -> None:
    """A good credential passes at a blocked address, and does not lift the block."""
    app = with_rate_limits(api.app, Limits(auth_failures=2))
    key = [(b"x-auth-email", api.credentials.email.encode()), (b"x-auth-key", api.credentials.api_key.encode())]
    for _ in range(5):
        ask(api, app, credential=BAD[0])

    assert [ask(api, app).status for _ in range(3)] == [200] * 3
    assert api.send("GET", SCRIPTS, b"", key, anonymous=True, to=app).status == 200
    assert ask(api, app, OTHER_ACCOUNT).refusal == (403, [10000])
    assert api.send("GET", SCRIPTS, anonymous=True, to=app).refusal == (400, [9106])
    assert ask(api, app, credential=BAD[0]).refusal == (429, [10502])


def test_a_good_credential_does_not_reset_the_failures(api: Api) -> None:
    """The failures before and after a good credential add up."""
    app = with_rate_limits(api.app, Limits(auth_failures=3))

    statuses = [ask(api, app, credential=each).status for each in (BAD[0], BAD[0], None, BAD[0], None, BAD[0])]

    assert statuses == [403, 403, 200, 403, 200, 429]


def test_a_service_key_has_one_quota(api: Api) -> None:
    """A service key has one quota; ignored headers beside it do not change that."""
    made = api.run(create_user(api.store, "service@example.com", with_service_key=True))
    app = with_rate_limits(api.app, Limits(rate_limit=3, auth_failures=0))
    service = (b"x-auth-user-service-key", made.service_key.encode())

    statuses = [
        api.send(
            "GET", "/client/v4/user", b"", [service, (b"x-auth-key", b"%040d" % n)], anonymous=True, to=app
        ).status
        for n in range(5)
    ]

    assert statuses == [200, 200, 200, 429, 429]


def test_a_missing_permission_is_not_a_failed_authentication(api: Api) -> None:
    """Missing permissions, credentials, scripts or methods do not count as failed authentications."""
    app = with_rate_limits(api.app, Limits(auth_failures=1))

    for _ in range(3):
        assert ask(api, app, OTHER_ACCOUNT).refusal == (403, [10000])
        assert api.send("GET", SCRIPTS, anonymous=True, to=app).refusal == (400, [9106])
        assert ask(api, app, f"{SCRIPTS}/none/secrets").refusal == (404, [10007])
        assert api.send("POST", SCRIPTS, to=app).status == 405
    assert ask(api, app).status == 200


def test_the_change_feed_has_a_larger_quota_of_its_own(api: Api) -> None:
    """The change feed has a quota of its own, a hundred times as large."""
    app = with_rate_limits(api.app, Limits(rate_limit=1, auth_failures=0))
    delivery = SCRIPTS.replace("/workers/scripts", "/nightsafe/changes")

    assert [403] * 100 + [429] == [ask(api, app, delivery).status for _ in range(101)]
    assert [200, 429] == [ask(api, app).status for _ in range(2)]


@pytest.mark.parametrize("path", ["public-ring", "scripts/mine/secrets", "keys", "changesx", "none"])
def test_other_nightsafe_paths_count_towards_the_quota(api: Api, path: str) -> None:
    """All other Nightsafe paths count towards the credential's quota, even unknown ones."""
    app = with_rate_limits(api.app, Limits(rate_limit=1, auth_failures=0))
    at = SCRIPTS.replace("/workers/scripts", f"/nightsafe/{path}")

    assert 429 != ask(api, app, at).status
    assert ask(api, app, at).refusal == (429, [971])
    assert ask(api, app).status == 429
