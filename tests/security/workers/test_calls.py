"""Attacks with each kind of token, through every call of the API."""

import asyncio
import json
import re
from pathlib import Path

from tests.clients.canaries import found
from tests.clients.stored_values import opened
from tests.clients.tokens import make_token, policy
from tests.clients.wire.talk import SCRIPTS
from tests.security.tools.planted_server import AT, Planted
from tests.security.tools.route_calls import Asked, ask_all, names_there
from tests.server import ACCOUNT
from tests.unit.api.delivery.test_admission import _upload
from tests.unit.api.delivery.test_bundles import exchanged
from tests.unit.api.delivery.test_bundles import token as delivery_token
from tests.unit.api.identity.test_access_table import OPEN_TO_ACCOUNT_VIEWERS
from tests.unit.api.tools.driver import JSON, Api

from nightsafe.bundle.signed import open_bundle
from nightsafe.identity.permissions import PERMISSION_GROUPS, Action
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.services.delivery.admission import DeliveryOptions

NIGHTSAFE = f"/client/v4/accounts/{ACCOUNT}/nightsafe"
READING = ("Workers Scripts Read", "Pages Read", "Secrets Store Read", "Account Settings Read")
WRITING = ("Workers Scripts Write", "Pages Write", "Secrets Store Write")
REFUSED = {401, 403}


def token(planted: Planted, *groups: str) -> str:
    """Create a token with these permission groups and no others, and return it."""
    ids = [group.id for group in PERMISSION_GROUPS.values() if group.name in groups]
    assert len(ids) == len(groups)
    made, _ = make_token(planted.safe, policy(*ids, account_id=ACCOUNT))
    return made


def values_in(planted: Planted, asked: list[Asked]) -> list[tuple[str, bytes]]:
    """Return each value or credential that an answer contains in its body or headers, with the name of the answer."""
    said = {f"{one.route.method} {one.path}": repr(one.answer.headers).encode() + one.answer.body for one in asked}
    return found(planted.planted, said)


def answered(asked: list[Asked]) -> set[str]:
    """Return the paths of the routes that answered 200."""
    return {one.route.path for one in asked if one.answer.status == 200}


def test_reading_gives_no_value(planted: Planted) -> None:
    """With a token that may read, an attacker can see names, kinds, algorithms and usages of secrets, who last set
    each, and when, but cannot get any value: no call returns one.
    """
    with planted.wire(token(planted, *READING)) as wire:
        asked = list(ask_all(wire, names_there(planted), writes=False))
        shown = wire.ask("GET", f"{AT}/secrets/jwk").result
        [origin] = [
            one for one in wire.ask("GET", f"{NIGHTSAFE}/scripts/script/secrets").result if one["name"] == "jwk"
        ]

    assert [] == values_in(planted, asked)
    assert len(answered(asked)) > 60
    assert {"name", "type", "format", "algorithm", "usages"} == shown.keys()
    assert {"modified_on", "modified_by"} <= origin.keys()


def test_the_owner_gets_no_value(planted: Planted) -> None:
    """With a token that may write, an attacker can replace and delete secrets, but cannot get a value that was there
    before.

    This holds for a token with all permissions too: no reading call returns a value, and no refused write does.
    """
    with planted.wire() as wire:
        asked = list(ask_all(wire, names_there(planted), Action.WRITE_TOKENS))

    assert [] == values_in(planted, asked)
    assert len(answered(asked)) > 65


def test_writing_gives_no_value(planted: Planted) -> None:
    """With a token that may write, an attacker can replace and delete secrets, but cannot get a value that was there
    before.
    """
    with planted.wire(token(planted, *WRITING)) as wire:
        assert wire.upload("written", {"type": "secret_text", "name": "A", "text": "old-value-of-a"}).status == 200
        assert wire.put("written", "B", "old-value-of-b").status == 200
        assert wire.put("written", "A", "the new value").status == 200
        assert wire.patch("written", {"B": None}).status == 200
        assert wire.upload("written", {"type": "inherit", "name": "A"}).status == 200
        assert wire.ask("GET", f"{SCRIPTS}/written").status == 200
        heard = b"".join(repr(one.headers).encode() + one.body for one in wire.heard)

    assert {"A": "the new value"} == opened(planted.safe, "written")
    assert b"old-value" not in heard
    assert b"the new value" not in heard


def refused_but(planted: Planted, permission: str, action: Action) -> dict[str, bytes]:
    """Call every route except the ones of the token's own action, and check that all writes are refused.

    Args:
        planted: the server.
        permission: the name of the token's permission group.
        action: the token's own action, whose routes are left out.

    Returns:
        The bodies of the answers that were not refused, by the paths of their routes.
    """
    with planted.wire(token(planted, permission)) as wire:
        asked = list(ask_all(wire, names_there(planted), action))
    told = [one for one in asked if one.answer.status not in REFUSED]

    assert len(asked) > len(told) + 300
    assert {"GET"} == {one.route.method for one in told}
    assert [] == values_in(planted, told)
    return {one.route.path: one.answer.body for one in told}


def check_little_is_told(told: dict[str, bytes]) -> None:
    """Check that the answers contain only the account's name and ring, and data that every account shares."""
    beside = {"/client/v4/user/tokens/verify", "/client/v4/accounts"}
    words = json.dumps([json.loads(body)["result"] for body in told.values()])

    assert told.keys() <= beside | OPEN_TO_ACCOUNT_VIEWERS
    assert not [name for name in ("doors", "script", "kept", "@") if name in words]


def test_a_delivery_token_is_for_delivery(planted: Planted) -> None:
    """With a delivery token, an attacker can fetch the code, the sealed values and their names of one account,
    report what is served, and make the API refuse uploads, but cannot get a value, write anything else, or read
    more of the account than its name and its public ring.
    """
    check_little_is_told(refused_but(planted, "Nightsafe Delivery", Action.DELIVER))
    with planted.wire(token(planted, "Nightsafe Delivery")) as wire:
        fetched = wire.ask("GET", f"{NIGHTSAFE}/bundles/script")
        bundle = open_bundle(fetched.body, VerifyKeys.load(planted.safe.path / "keys" / "verify-keys.json"))
        digest = bundle.versions[0].modules[0].digest.hex()
        code = wire.ask("GET", f"{NIGHTSAFE}/modules/{digest}")
        other = wire.ask("GET", f"{NIGHTSAFE.replace(ACCOUNT, 'f' * 32)}/bundles/script")

    assert (200, 200, 403) == (fetched.status, code.status, other.status)
    assert b"export default {};" == code.body
    assert [] == found(planted.planted, {"bundle": fetched.body})


def test_a_resealing_token_is_for_resealing(planted: Planted) -> None:
    """With a resealing token, an attacker can fetch sealed values under an older key and their names, and put other
    sealed values in their place, but cannot get a value, write anything else, or read more of the account than its
    name and its public ring.
    """
    check_little_is_told(refused_but(planted, "Nightsafe Resealing", Action.RESEAL))


def test_a_delivery_token_has_uploads_refused(tmp_path: Path) -> None:
    """With a delivery token, an attacker can fetch the code, the sealed values and their names of one account, report
    what is served, and make the API refuse uploads, but cannot get a value, write anything else, or read more of the
    account than its name and its public ring.

    The holder of the token gets the upload to check with the runtime, and reports a problem.
    """
    with Api(tmp_path, delivered=DeliveryOptions(always=True)) as api:
        bearer = delivery_token(api)

        async def story() -> tuple[bytes, int, int]:
            """Return the code to check, the status of the answer to the verdict, and the status of the upload."""
            asking = asyncio.create_task(exchanged(api, "GET", f"{NIGHTSAFE}/checks", [bearer]))
            while not api.app._code_checks._accounts[ACCOUNT].active_checkers:  # noqa: ASYNC110 - no event signals that it waits
                await asyncio.sleep(0)
            uploading = asyncio.create_task(_upload(api, b"export default { is: 'good' }"))
            given = (await asking).body
            check = re.search(rb'"id": ?"([^"]+)"', given)
            assert check is not None
            path, verdict = f"{NIGHTSAFE}/checks/{check[1].decode()}", b'{"problem":"SyntaxError: it is not"}'
            told = await exchanged(api, "POST", path, [bearer, JSON], verdict)
            return given, told.status, await uploading

        given, told, uploaded = api.run(story())

    assert (200, 400) == (told, uploaded)
    assert b"export default" in given or b"ZXhwb3J0" in given
