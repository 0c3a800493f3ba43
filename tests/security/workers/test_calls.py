"""What each kind of token gets from every call there is."""

import asyncio
import json
import re
from pathlib import Path

from tests.clients.canaries import found
from tests.clients.opened import opened
from tests.clients.tokens import make_token, policy
from tests.clients.wire.talk import SCRIPTS
from tests.security.tools.planting import AT, Planted
from tests.security.tools.reaching import Asked, ask_all, names_there
from tests.server import ACCOUNT
from tests.unit.api.delivery.test_admission import _upload
from tests.unit.api.delivery.test_bundles import exchanged
from tests.unit.api.delivery.test_bundles import token as delivery_token
from tests.unit.api.identity.test_access_table import TOLD_TO_WHOEVER_SEES
from tests.unit.api.tools.driver import JSON, Api

from nightsafe.bundle.signed import open_bundle
from nightsafe.identity.permissions import PERMISSION_GROUPS, Action
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.services.delivery.admission import Delivered

NIGHTSAFE = f"/client/v4/accounts/{ACCOUNT}/nightsafe"
READING = ("Workers Scripts Read", "Pages Read", "Secrets Store Read", "Account Settings Read")
WRITING = ("Workers Scripts Write", "Pages Write", "Secrets Store Write")
REFUSED = {401, 403}


def token(planted: Planted, *groups: str) -> str:
    """A token that may do what these permission groups say, and nothing else."""
    ids = [group.id for group in PERMISSION_GROUPS.values() if group.name in groups]
    assert len(ids) == len(groups)
    made, _ = make_token(planted.safe, policy(*ids, account_id=ACCOUNT))
    return made


def values_in(planted: Planted, asked: list[Asked]) -> list[tuple[str, bytes]]:
    """Each answer with a value or a credential in its body or its headers."""
    said = {f"{one.route.method} {one.path}": repr(one.answer.headers).encode() + one.answer.body for one in asked}
    return found(planted.planted, said)


def answered(asked: list[Asked]) -> set[str]:
    """The paths of the routes that were answered with 200."""
    return {one.route.path for one in asked if one.answer.status == 200}


def test_reading_gives_no_value(planted: Planted) -> None:
    """With a token that may read, an attacker can see names, kinds, algorithms and usages of secrets, and when and by
    whom each was last set, but cannot get any value: no call returns one.
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

    Nor with one that may do everything: by no call that reads, nor by any that writes and is refused.
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
    """What a token is told outside of what it is for, by paths; all else is refused, every write among it."""
    with planted.wire(token(planted, permission)) as wire:
        asked = list(ask_all(wire, names_there(planted), action))
    told = [one for one in asked if one.answer.status not in REFUSED]

    assert len(asked) > len(told) + 300
    assert {"GET"} == {one.route.method for one in told}
    assert [] == values_in(planted, told)
    return {one.route.path: one.answer.body for one in told}


def check_little_is_told(told: dict[str, bytes]) -> None:
    """Of the account its name and its ring, and what is the same for every account."""
    beside = {"/client/v4/user/tokens/verify", "/client/v4/accounts"}
    words = json.dumps([json.loads(body)["result"] for body in told.values()])

    assert told.keys() <= beside | TOLD_TO_WHOEVER_SEES
    assert not [name for name in ("doors", "script", "kept", "@") if name in words]


def test_a_delivery_token_is_for_delivery(planted: Planted) -> None:
    """With a delivery token, an attacker can fetch the code, the sealed values and their names of one account, report
    what is served, and have uploads refused, but cannot get a value, write anything else, or read more of the account
    than its name and its public ring.
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
    what is served, and have uploads refused, but cannot get a value, write anything else, or read more of the account
    than its name and its public ring.

    It is asked what the runtime says to an upload, and says no.
    """
    with Api(tmp_path, delivered=Delivered(always=True)) as api:
        bearer = delivery_token(api)

        async def story() -> tuple[bytes, int, int]:
            """What is given to be checked, and what comes of the upload and of its verdict."""
            asking = asyncio.create_task(exchanged(api, "GET", f"{NIGHTSAFE}/checks", [bearer]))
            while not api.app._code_checks._accounts[ACCOUNT].here:  # noqa: ASYNC110 - nothing tells when it waits
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
