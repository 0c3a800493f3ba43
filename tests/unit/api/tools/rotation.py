"""An API whose ring is a file, beside whoever seals anew: a rotation with nothing between them but their messages."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import msgspec
from tests.unit.api.pages.test_projects import PROJECT, PROJECTS
from tests.unit.api.secrets_store.test_stores import Shop
from tests.unit.api.tools.driver import ACCOUNT, JSON, Answer, Api, Exchange, Headers, scope_of
from tests.unit.api.tools.tokens import keep, row

from nightsafe.api.app import App
from nightsafe.bundle.resealing import NewValues, OldValues, Stored
from nightsafe.delivery.key_rotation.resealing import Progress, Resealer
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.credentials import new_token
from nightsafe.identity.policy import policies_for
from nightsafe.sealing.context import Context
from nightsafe.sealing.reloading.key_file import Reloading
from nightsafe.sealing.reloading.opener import ReloadingOpener
from nightsafe.sealing.reloading.sealer import ReloadingSealer
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.services.key_rotation.resealing import place_of_value
from nightsafe.services.secrets.seal import Safe
from nightsafe.store.sealed_values import StoredValue

ROOT = f"/client/v4/accounts/{ACCOUNT}/nightsafe"
RESEALING = f"{ROOT}/resealing"
GROUP = "6e69676874736166652072657365616c"
KEY = {
    "type": "secret_key",
    "name": "K",
    "format": "raw",
    "algorithm": {"name": "HMAC", "hash": "SHA-256"},
    "usages": ["sign"],
    "key_base64": b64encode(b"the-key-of-the-worker").decode(),
}
BETA = f"/client/v4/accounts/{ACCOUNT}/workers/workers"
ALL = {
    "first": 1,
    "second": 1,
    "the-key-of-the-worker": 2,
    "of-the-store": 2,
    "of-the-project": 1,
    "of-the-preview": 1,
}
COUNT = sum(ALL.values())


class Rotation:
    """Keys in files, an API that seals with them, and a source that goes through that API.

    Args:
        api: whose application is replaced.
        folder: for the key files.
    """

    def __init__(self, api: Api, folder: Path) -> None:
        self.api = api
        self.private, self.public = folder / "private.json", folder / "public.json"
        self.problems: list[str] = []
        ring = PrivateRing.generate()
        self._write(ring)
        self.signing_key = SigningKey.generate()
        self.verifier = VerifyKeys([self.signing_key.verify_key])
        self.opener = ReloadingOpener(self.verifier, Reloading(self.private, PrivateRing.load))
        followed = Reloading(
            self.public, PublicRing.load, lambda error: self.problems.append(error.problems[0].detail)
        )
        self.sealer = ReloadingSealer(followed, self.signing_key)
        api.app = App(api.store, Safe(self.sealer, self.verifier), api.limits)
        token = new_token()
        keep(api, row(token, policies_for(ACCOUNT, GROUP)))
        self.bearer = (b"authorization", b"Bearer " + token.encode())

    @property
    def ring(self) -> PrivateRing:
        """The private ring as it is now."""
        return PrivateRing.load(self.private)

    @property
    def primary(self) -> str:
        """Id of the primary key."""
        return self.ring.public().primary.id

    def rotate(self) -> str:
        """A new primary key in both files; gives the id of the one before."""
        before = self.primary
        self._write(self.ring.rotated())
        return before

    def retire(self, key_id: str) -> None:
        """A key retired in both files."""
        self._write(self.ring.retired(key_id))

    def _write(self, ring: PrivateRing) -> None:
        """Both files."""
        ring.save(self.private, replace=True)
        ring.public().save(self.public, replace=True)

    def ask(self, method: str, target: str, body: object = None, headers: Headers = ()) -> Answer:
        """Ask the API as whoever seals anew does."""
        sent = b"" if body is None else json.dumps(body).encode()
        return self.api.send(method, target, sent, [*(headers or [self.bearer]), JSON], anonymous=True)

    async def old_values(self, after: str) -> OldValues:
        """As `ResealingSource.old_values`."""
        return msgspec.convert(await self._call("GET", f"{RESEALING}?after={after}"), OldValues)

    async def store(self, values: NewValues) -> Stored:
        """As `ResealingSource.store`."""
        return msgspec.convert(await self._call("POST", RESEALING, msgspec.json.encode(values)), Stored)

    async def _call(self, method: str, target: str, body: bytes = b"") -> Any:
        """One request on the store's loop."""
        exchange = Exchange(scope_of(method, target, [self.bearer, JSON]), [body] if body else [])
        await self.api.app(exchange.scope, exchange.receive, exchange.send)
        answer = exchange.answer
        assert answer is not None
        if answer.status != 200:
            raise NightsafeError(Code.INVALID, str(answer.refusal))
        return answer.result

    def reseal(self) -> Progress:
        """One pass."""
        return self.api.run(Resealer(ACCOUNT, self, self.opener, rest=0).run_once())

    def under(self, key_id: str) -> list[StoredValue]:
        """Every value under a key."""
        found: list[StoredValue] = []
        while page := self.api.run(
            self.api.store.values_under(ACCOUNT, key_id, after=found[-1].mark if found else "")
        ):
            found += page
        return found

    def opened(self, value: StoredValue) -> bytes:
        """What is in a value, opened where it lies."""
        place = place_of_value(value)
        context: Context = msgspec.structs.replace(place.signed, name=place.sealed_name)
        return self.opener.open_named(place.signed, context, value.sealed).reveal()

    def contents(self) -> dict[str, int]:
        """Every value there is, opened, and how often."""
        found: dict[str, int] = {}
        for key_id in self.api.run(self.api.store.keys_in_use(ACCOUNT)):
            for one in self.under(key_id):
                value = self.opened(one).decode()
                found[value] = found.get(value, 0) + 1
        return found

    def meddle(self, sql: str, *parameters: object) -> None:
        """Change the database as somebody does who can write to it."""
        db = self.api.store._anchor
        db.execute(sql, parameters)


def text(name: str, value: str) -> dict[str, str]:
    """A secret text as it is sent."""
    return {"type": "secret_text", "name": name, "text": value}


def with_values(api: Api, folder: Path) -> Rotation:
    """An API with key files, and values of every kind in every kind of place: `ALL` of them."""
    rotation = Rotation(api, folder)
    assert api.upload("worker").status == 200
    for value in ("first", "second"):
        assert api.put("worker", text("T", value)).status == 200
    assert api.put("worker", KEY).status == 200
    shop = Shop(api)
    (made,) = shop.make({"name": "S", "value": "of-the-store", "scopes": ["workers"]})
    assert shop.ask("POST", f"/secrets/{made}/duplicate", {"name": "D", "scopes": ["workers"]}).status == 200
    assert api.json("POST", PROJECTS, {"name": "blog"}).status == 200
    variable = {"V": {"type": "secret_text", "value": "of-the-project"}}
    assert api.json("PATCH", PROJECT, {"deployment_configs": {"preview": {"env_vars": variable}}}).status == 200
    env = {"K": KEY, "P": {"type": "secret_text", "text": "of-the-preview"}}
    assert api.json("PATCH", f"{BETA}/worker", {"previews_base_config": {"env": env}}).status == 200
    return rotation
