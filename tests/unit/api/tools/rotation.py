"""An API with a ring in a file, and a resealing process that exchanges only messages with it."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import msgspec
from tests.stores import SIGNING_KEY
from tests.unit.api.pages.test_projects import PROJECT, PROJECTS
from tests.unit.api.secrets_store.test_stores import SecretsStore
from tests.unit.api.tools.driver import ACCOUNT, JSON, Answer, Api, Exchange, Headers, scope_of
from tests.unit.api.tools.tokens import keep, row

from nightsafe.api.app import App
from nightsafe.bundle.resealing import NewValues, OldValues, ResealingResult
from nightsafe.delivery.key_rotation.resealing import Progress, Resealer
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.credentials import new_token
from nightsafe.identity.policy import policies_for
from nightsafe.sealing.context import Context
from nightsafe.sealing.reloading.key_file import ReloadedFile
from nightsafe.sealing.reloading.opener import ReloadingOpener
from nightsafe.sealing.reloading.sealer import ReloadingSealer
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.services.key_rotation.resealing import location_of_value
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
    """Key files, an API that seals with them, and a resealing process that goes through that API.

    Args:
        api: the API; its application is replaced.
        folder: the folder for the key files.
    """

    def __init__(self, api: Api, folder: Path) -> None:
        self.api = api
        self.private, self.public = folder / "private.json", folder / "public.json"
        self.problems: list[str] = []
        ring = PrivateRing.generate()
        self._write(ring)
        self.signing_key = SIGNING_KEY
        self.verifier = VerifyKeys([self.signing_key.verify_key])
        self.opener = ReloadingOpener(self.verifier, ReloadedFile(self.private, PrivateRing.load))
        public_ring = ReloadedFile(
            self.public, PublicRing.load, lambda error: self.problems.append(error.problems[0].detail)
        )
        self.sealer = ReloadingSealer(public_ring, self.signing_key)
        api.app = App(api.store, Safe(self.sealer, self.verifier), api.limits)
        token = new_token()
        keep(api, row(token, policies_for(ACCOUNT, GROUP)))
        self.bearer = (b"authorization", b"Bearer " + token.encode())

    @property
    def ring(self) -> PrivateRing:
        """The current private ring."""
        return PrivateRing.load(self.private)

    @property
    def primary(self) -> str:
        """The id of the primary key."""
        return self.ring.public().primary.id

    def rotate(self) -> str:
        """Write a new primary key to both files; return the id of the previous one."""
        before = self.primary
        self._write(self.ring.rotated())
        return before

    def retire(self, key_id: str) -> None:
        """Retire a key in both files."""
        self._write(self.ring.retired(key_id))

    def _write(self, ring: PrivateRing) -> None:
        """Write both files."""
        ring.save(self.private, replace=True)
        ring.public().save(self.public, replace=True)

    def ask(self, method: str, target: str, body: object = None, headers: Headers = ()) -> Answer:
        """Send a request with the token that may reseal."""
        sent = b"" if body is None else json.dumps(body).encode()
        return self.api.send(method, target, sent, [*(headers or [self.bearer]), JSON], anonymous=True)

    async def old_values(self, after: str) -> OldValues:
        """Implement `ResealingSource.old_values`."""
        return msgspec.convert(await self._call("GET", f"{RESEALING}?after={after}"), OldValues)

    async def store(self, values: NewValues) -> ResealingResult:
        """Implement `ResealingSource.store`."""
        return msgspec.convert(await self._call("POST", RESEALING, msgspec.json.encode(values)), ResealingResult)

    async def _call(self, method: str, target: str, body: bytes = b"") -> Any:
        """Send a request on the store's loop."""
        exchange = Exchange(scope_of(method, target, [self.bearer, JSON]), [body] if body else [])
        await self.api.app(exchange.scope, exchange.receive, exchange.send)
        answer = exchange.answer
        assert answer is not None
        if answer.status != 200:
            raise NightsafeError(Code.INVALID, str(answer.refusal))
        return answer.result

    def reseal(self) -> Progress:
        """Run one pass."""
        return self.api.run(Resealer(ACCOUNT, self, self.opener, rest=0).run_once())

    def under(self, key_id: str) -> list[StoredValue]:
        """Return every value under a key."""
        found: list[StoredValue] = []
        while page := self.api.run(
            self.api.store.values_under(ACCOUNT, key_id, after=found[-1].mark if found else "")
        ):
            found += page
        return found

    def opened(self, value: StoredValue) -> bytes:
        """Return the content of a value, opened in its place."""
        place = location_of_value(value)
        context: Context = msgspec.structs.replace(place.signed, name=place.sealed_name)
        return self.opener.open_named(place.signed, context, value.record).reveal()

    def contents(self) -> dict[str, int]:
        """Return every stored value, opened, with the number of its occurrences."""
        found: dict[str, int] = {}
        for key_id in self.api.run(self.api.store.keys_in_use(ACCOUNT)):
            for stored in self.under(key_id):
                value = self.opened(stored).decode()
                found[value] = found.get(value, 0) + 1
        return found

    def meddle(self, sql: str, *parameters: object) -> None:
        """Change the database like an attacker who can write to it."""
        db = self.api.store._anchor
        db.execute(sql, parameters)


def text(name: str, value: str) -> dict[str, str]:
    """Return a `secret_text` in the form of a request."""
    return {"type": "secret_text", "name": name, "text": value}


def with_values(api: Api, folder: Path) -> Rotation:
    """Return an API with key files, and the values `ALL` in every kind of place."""
    rotation = Rotation(api, folder)
    assert api.upload("worker").status == 200
    for value in ("first", "second"):
        assert api.put("worker", text("T", value)).status == 200
    assert api.put("worker", KEY).status == 200
    store = SecretsStore(api)
    (made,) = store.make({"name": "S", "value": "of-the-store", "scopes": ["workers"]})
    assert store.ask("POST", f"/secrets/{made}/duplicate", {"name": "D", "scopes": ["workers"]}).status == 200
    assert api.json("POST", PROJECTS, {"name": "blog"}).status == 200
    variable = {"V": {"type": "secret_text", "value": "of-the-project"}}
    assert api.json("PATCH", PROJECT, {"deployment_configs": {"preview": {"env_vars": variable}}}).status == 200
    env = {"K": KEY, "P": {"type": "secret_text", "text": "of-the-preview"}}
    assert api.json("PATCH", f"{BETA}/worker", {"previews_base_config": {"env": env}}).status == 200
    return rotation
