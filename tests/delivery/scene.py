"""A delivery side on made-up bundles, with the real workerd."""

import json
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec
import pytest
from msgspec.structs import replace

from nightsafe.bindings.model import PlainBinding, Secret, SecretText
from nightsafe.bindings.parse import parse_binding
from nightsafe.bundle.model import Bundle, BundleBinding, BundleModule, BundleVersion, StoredSecret
from nightsafe.delivery.delivery import Delivery
from nightsafe.delivery.load.environment import STORE_SPACE
from nightsafe.delivery.settings import Settings
from nightsafe.delivery.source.bundle_source import MemorySource
from nightsafe.delivery.workerd.binary import find
from nightsafe.errors import NightsafeError
from nightsafe.sealing import Context
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.sealer import SigningSealer
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.secret_value import SecretValue

ACCOUNT = "0123456789abcdef0123456789abcdef"
STORE = "89abcdef0123456789abcdef01234567"
DATE = "2026-04-01"
JS = "application/javascript+module"
ROOT = Path(__file__).parents[2]

Binding = Mapping[str, Any]


def workerd() -> Path:
    """The binary; without it the test fails: it is never skipped."""
    try:
        return find(ROOT / ".workerd")
    except NightsafeError as error:
        pytest.fail(error.problems[0].detail, pytrace=False)


def text(name: str, value: str) -> Binding:
    """A `secret_text`, as it is uploaded."""
    return {"type": "secret_text", "name": name, "text": value}


def stored(name: str, secret: str, value: str | None = None) -> Binding:
    """A `secrets_store_secret`, with the value that its secret has; None when there is no such secret."""
    bound = {"type": "secrets_store_secret", "name": name, "store_id": STORE, "secret_name": secret}
    return bound if value is None else bound | {"value": value}


class Scene:
    """The API's part (keys, sealing, signing) beside a delivery side.

    Args:
        folder: for its files.
        options: of `Settings`.
    """

    def __init__(self, folder: Path, **options: Any) -> None:
        self.ring = PrivateRing.generate()
        self.signing_key = SigningKey.generate()
        self.verifier = VerifyKeys([self.signing_key.verify_key])
        self.sealer = SigningSealer(self.ring.public(), self.signing_key)
        self.source = MemorySource(ACCOUNT, self.signing_key)
        self.settings = Settings(
            account_id=ACCOUNT,
            folder=folder / "run",
            serials=folder / "marks.json",
            binary=workerd(),
            **({"script_header": True} | options),
        )
        self._versions = 0

    async def __aenter__(self) -> Self:
        """Start."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = listener.getsockname()[1]
        opener = RecordOpener(self.verifier, self.ring)
        self.delivery = Delivery(self.settings, self.source, self.verifier, opener, listener)
        try:
            await self.delivery.start()
        except BaseException:
            listener.close()
            raise
        self.client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", timeout=60, limits=httpx.Limits(max_connections=None)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.client.aclose()
        await self.delivery.stop()

    def version(
        self,
        script: str,
        code: str | Mapping[str, tuple[str, bytes]],
        bindings: Sequence[Binding] = (),
        **members: Any,
    ) -> BundleVersion:
        """A version, sealed as the API seals it.

        Args:
            script: whose it is.
            code: the main module's text, or all modules as name to content type and contents, the main one first.
            bindings: as they are uploaded.
            members: further ones of `BundleVersion`.
        """
        self._versions += 1
        files = {"index.js": (JS, code.encode())} if isinstance(code, str) else code
        modules = tuple(BundleModule(name, kind, self.source.keep(body)) for name, (kind, body) in files.items())
        parsed = [(parse_binding(dict(one), "", 0), self.stored_in(one)) for one in bindings]
        told: dict[str, Any] = {
            "id": f"00000000-0000-4000-8000-{self._versions:012d}",
            "percentage": 100.0,
            "created_on": "2026-11-24T00:00:00Z",
            "main_module": next(iter(files)),
            "compatibility_date": DATE,
        }
        sealed = tuple(replace(self.binding(script, one), stored=secret) for one, secret in parsed)
        return BundleVersion(modules=modules, bindings=sealed, **(told | members))

    @staticmethod
    def takes(one: Binding) -> bool:
        """Whether the API takes a binding."""
        try:
            parse_binding(dict(one), "", 0)
        except NightsafeError:
            return False
        return True

    def binding(self, script: str, one: Any) -> BundleBinding:
        """A binding as the store has it."""
        if isinstance(one, PlainBinding):
            return BundleBinding(one.name, one.kind, msgspec.Raw(one.shown()))
        return BundleBinding(one.name, one.kind, msgspec.Raw(one.shown()), self.seal(script, one))

    def seal(self, script: str, secret: Secret) -> bytes:
        """A secret's stored record."""
        context = Context(
            account_id=ACCOUNT,
            namespace="",
            script=script,
            name=secret.name,
            kind=secret.kind,
            public=secret.public(),
        )
        assert isinstance(secret.value, SecretValue)
        return self.sealer.seal(context, secret.value)

    def stored_in(self, binding: Binding) -> StoredSecret | None:
        """The secret of a store that a binding leads to, if there is one."""
        if binding["type"] != "secrets_store_secret" or "value" not in binding:
            return None
        return self.seal_stored(binding["secret_name"], binding["value"])

    def seal_stored(self, secret: str, value: str) -> StoredSecret:
        """A secret of a Secrets Store, as the store has it."""
        context = Context(account_id=ACCOUNT, namespace=STORE_SPACE, script=STORE, name=secret, kind="secret_text")
        sealed = self.sealer.seal(context, SecretValue(value.encode()))
        return StoredSecret(store_id=STORE, name=secret, sealed_name=secret, sealed=sealed)

    def seal_text(self, script: str, name: str, value: str) -> BundleBinding:
        """A `secret_text` binding as the store has it."""
        return self.binding(script, SecretText(name, SecretValue(value.encode())))

    async def serve(self, script: str, *versions: BundleVersion) -> None:
        """Let a script be served, and wait until it is."""
        await self.source.wait_until_acted_on(await self.put(script, *versions))

    async def put(self, script: str, *versions: BundleVersion) -> int:
        """Let a script be served; gives the serial of that."""
        return await self.source.put(Bundle(account_id=ACCOUNT, script=script, serial=0, versions=versions))

    async def upload(self, script: str, code: Any, bindings: Sequence[Binding] = (), **members: Any) -> None:
        """A script with one version, served when this returns."""
        await self.serve(script, self.version(script, code, bindings, **members))

    async def get(self, script: str, path: str = "/", **headers: str) -> httpx.Response:
        """Ask a script by its host name."""
        host = {"host": f"{script}.localhost:{self.port}"}
        return await self.client.get(path, headers=host | {k.replace("_", "-"): v for k, v in headers.items()})

    async def stats(self) -> dict[str, int]:
        """What the dispatchers count, together."""
        supervisor = self.delivery.supervisor
        told: Counter[str] = Counter()
        for child in (supervisor.current, *supervisor.cells):
            told.update(json.loads(await child.ask("/stats")))
        return dict(told)
