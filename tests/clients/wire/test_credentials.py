"""Credentials of every form, and the answers to those that are refused."""

import pytest
from tests.clients.wire.talk import SCRIPTS, Wire
from tests.server import Server

UNKNOWN = "nst_" + "0" * 38
KEY = "X-Auth-Key"
EMAIL = "X-Auth-Email"
AUTHORIZATION = "Authorization"

MISSING = (400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers", None)
BAD_BEARER = (400, 6003, "Invalid request headers", [(6111, "Invalid format for Authorization header")])
BAD_KEY = (400, 6003, "Invalid request headers", [(6103, "Invalid format for X-Auth-Key header")])
BAD_EMAIL = (400, 6003, "Invalid request headers", [(6102, "Invalid format for X-Auth-Email header")])
UNKNOWN_PAIR = (400, 9103, "Unknown X-Auth-Key or X-Auth-Email", None)
UNKNOWN_SERVICE_KEY = (400, 9103, "Unknown X-Auth-User-Service-Key", None)
REFUSED = (403, 10000, "Authentication error", None)

TABLE: list[tuple[tuple[tuple[str, str], ...], object]] = [
    ((), MISSING),
    (((EMAIL, "{email}"),), MISSING),
    (((KEY, "{key}"),), MISSING),
    ((("X-Auth-User-Service-Key", "v1.0-service-key"),), UNKNOWN_SERVICE_KEY),
    ((("Cookie", "token={token}"),), MISSING),
    (((AUTHORIZATION, ""),), BAD_BEARER),
    (((AUTHORIZATION, "Bearer"),), BAD_BEARER),
    (((AUTHORIZATION, "Bearer "),), BAD_BEARER),
    (((AUTHORIZATION, "{token}"),), BAD_BEARER),
    (((AUTHORIZATION, "Bearer{token}"),), BAD_BEARER),
    (((AUTHORIZATION, "Bearer\t{token}"),), BAD_BEARER),
    (((AUTHORIZATION, "Bearer {token} {token}"),), BAD_BEARER),
    (((AUTHORIZATION, "Bearer {token}, Bearer {token}"),), BAD_BEARER),
    (((AUTHORIZATION, "Bearer =={token}"),), BAD_BEARER),
    (((AUTHORIZATION, 'Bearer "{token}"'),), BAD_BEARER),
    (((AUTHORIZATION, "Bearer \xfc{token}"),), BAD_BEARER),
    (((AUTHORIZATION, "Basic {token}"),), BAD_BEARER),
    (((AUTHORIZATION, "Digest username=x"),), BAD_BEARER),
    (((AUTHORIZATION, "Bearer {token}"), (AUTHORIZATION, "Bearer {token}")), BAD_BEARER),
    (((AUTHORIZATION, "Bearer {token}"), (AUTHORIZATION, "Bearer {unknown}")), BAD_BEARER),
    (((AUTHORIZATION, "Bearer {unknown}"), (AUTHORIZATION, "Bearer {token}")), BAD_BEARER),
    (((AUTHORIZATION, "Bearer"), (AUTHORIZATION, "Bearer {token}")), BAD_BEARER),
    (((AUTHORIZATION, "Bearer"), (KEY, "{key}"), (EMAIL, "{email}")), BAD_BEARER),
    (((AUTHORIZATION, "Bearer {unknown}"),), REFUSED),
    (((AUTHORIZATION, "Bearer a"),), REFUSED),
    (((AUTHORIZATION, "Bearer {key}"),), REFUSED),
    (((AUTHORIZATION, "Bearer {token}="),), REFUSED),
    (((AUTHORIZATION, "Bearer {unknown}"), (KEY, "{key}"), (EMAIL, "{email}")), REFUSED),
    (((KEY, "short"), (EMAIL, "{email}")), BAD_KEY),
    (((KEY, "with a space in the middle"), (EMAIL, "{email}")), BAD_KEY),
    (((KEY, "{key}"), (KEY, "{key}"), (EMAIL, "{email}")), BAD_KEY),
    (((KEY, "{key}"), (EMAIL, "no-at-sign")), BAD_EMAIL),
    (((KEY, "{key}"), (EMAIL, "{email}"), (EMAIL, "{email}")), BAD_EMAIL),
    (((KEY, "{unknown}"), (EMAIL, "{email}")), UNKNOWN_PAIR),
    (((KEY, "{token}"), (EMAIL, "{email}")), UNKNOWN_PAIR),
    (((KEY, "{key}"), (EMAIL, "nobody@nightsafe.local")), UNKNOWN_PAIR),
    (((AUTHORIZATION, "Bearer {token}"),), None),
    (((AUTHORIZATION, "bearer {token}"),), None),
    (((AUTHORIZATION, "BEARER   {token}"),), None),
    (((AUTHORIZATION, "Bearer {token}"), (EMAIL, "{email}")), None),
    (((AUTHORIZATION, "Bearer {token}"), (KEY, "{unknown}"), (EMAIL, "nobody")), None),
    (((KEY, "{key}"), (EMAIL, "{email}")), None),
    (((KEY, "{key}"), (EMAIL, "OWNER@Nightsafe.local")), None),
    ((("X-Auth-User-Service-Key", "v1.0-service-key"), (EMAIL, "{email}")), UNKNOWN_SERVICE_KEY),
    ((("X-Auth-User-Service-Key", "v1.0-service-key"), (KEY, "{key}"), (EMAIL, "{email}")), None),
    ((("X-Auth-User-Service-Key", "v1.0-service-key"), (AUTHORIZATION, "Bearer {token}")), None),
]


def with_credentials(headers: tuple[tuple[str, str], ...], server: Server) -> list[tuple[str, str]]:
    """Return headers with the server's credentials filled in."""
    safe = server.safe
    values = {"token": safe.api_token, "key": safe.api_key, "email": safe.email, "unknown": UNKNOWN}
    return [(name, value.format(**values)) for name, value in headers]


@pytest.mark.parametrize(("headers", "refusal"), TABLE, ids=lambda value: repr(value)[:60])
def test_each_form_of_credentials_gets_its_answer(
    wire: Wire, script: str, server: Server, headers: tuple[tuple[str, str], ...], refusal: object
) -> None:
    """Each form of credentials gets its status, code, message and error chain, for cached reads and for writes."""
    wire.put(script, "mine")
    credentials = with_credentials(headers, server)
    for method, path in (("GET", "/secrets/mine"), ("GET", "/secrets"), ("DELETE", "/secrets/mine")):
        answer = wire.ask(method, f"{SCRIPTS}/{script}{path}", credentials=credentials)
        if refusal is None:
            assert answer.status == 200
            continue
        [error] = answer.envelope["errors"]
        chain = [(cause["code"], cause["message"]) for cause in error.get("error_chain", ())] or None
        assert refusal == (answer.status, error["code"], error["message"], chain)
    assert wire.names(script) == (["mine"] if refusal else [])


@pytest.mark.parametrize(("headers", "refusal"), TABLE[:3] + TABLE[5:8] + TABLE[23:25] + TABLE[33:34])
def test_refused_credentials_reveal_nothing_that_exists(
    wire: Wire, script: str, server: Server, headers: tuple[tuple[str, str], ...], refusal: object
) -> None:
    """Without valid credentials an existing secret, script or account gives the same answer as a missing one."""
    wire.put(script, "mine")
    credentials = with_credentials(headers, server)
    there = f"{SCRIPTS}/{script}/secrets/mine"
    targets = [there, f"{there}-not", f"{SCRIPTS}/absent/secrets/mine", there.replace("023e", "023f")]

    bodies = {wire.ask("GET", target, credentials=credentials).body for target in targets}

    assert refusal
    assert len(bodies) == 1
