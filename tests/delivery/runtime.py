"""A delivery process with the real workerd, which serves bundles that the test makes."""

import base64
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
from tests.proofs import proven_record, stated

from nightsafe.bindings.model import PlainBinding, Secret, SecretText
from nightsafe.bindings.parse import parse_binding
from nightsafe.bundle.model import Bundle, BundleBinding, BundleModule, BundleVersion, StoredSecret
from nightsafe.delivery.delivery import Delivery
from nightsafe.delivery.load.contexts import STORE_NAMESPACE
from nightsafe.delivery.settings import DeliverySettings
from nightsafe.delivery.source.bundle_source import MemorySource
from nightsafe.delivery.workerd.binary import find_workerd
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
CLASSIC = "application/javascript"
HELLO = "export default { fetch: (request, env) => new Response(env.TOKEN) };"
ROOT = Path(__file__).parents[2]

Binding = Mapping[str, Any]

KEY: Binding = {
    "type": "secret_key",
    "name": "KEY",
    "format": "raw",
    "algorithm": {"name": "HMAC", "hash": "SHA-256"},
    "usages": ["sign"],
    "key_base64": base64.b64encode(bytes(32)).decode(),
}
WASM = (
    b"\x00asm\x01\x00\x00\x00\x01\x05\x01\x60\x00\x01\x7f\x03\x02\x01\x00\x07\x05\x01\x01f\x00\x00"
    b"\n\x06\x01\x04\x00A*\x0b"
)
"""A WebAssembly module whose function `f` returns 42."""


def workerd() -> Path:
    """Return the path of the workerd binary; without it the test fails and is never skipped."""
    try:
        return find_workerd(ROOT / ".workerd")
    except NightsafeError as error:
        pytest.fail(error.problems[0].detail, pytrace=False)


def text(name: str, value: str) -> Binding:
    """Return a `secret_text` binding as it is uploaded."""
    return {"type": "secret_text", "name": name, "text": value}


def stored(name: str, secret: str, value: str | None = None) -> Binding:
    """Return a `secrets_store_secret` binding with its secret's value; without a value there is no such secret."""
    binding = {"type": "secrets_store_secret", "name": name, "store_id": STORE, "secret_name": secret}
    return binding if value is None else binding | {"value": value}


class Runtime:
    """The API's part (keys, sealing, signing) and a delivery process.

    Args:
        folder: where the delivery process keeps its files.
        options: further members of `Settings`.
    """

    def __init__(self, folder: Path, **options: Any) -> None:
        self.ring = PrivateRing.generate()
        self.signing_key = SigningKey.generate()
        self.verifier = VerifyKeys([self.signing_key.verify_key])
        self.sealer = SigningSealer(self.ring.public(), self.signing_key)
        self.source = MemorySource(ACCOUNT, self.signing_key)
        self.settings = DeliverySettings(
            account_id=ACCOUNT,
            folder=folder / "run",
            serials=folder / "marks.json",
            binary=workerd(),
            **({"script_header": True} | options),
        )
        self._versions = 0
        self._deletions: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        """Start the delivery process and a client."""
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
        """Stop the client and the delivery process."""
        await self.client.aclose()
        await self.delivery.stop()

    def version(
        self,
        script: str,
        code: str | Mapping[str, tuple[str, bytes]],
        bindings: Sequence[Binding] = (),
        **members: Any,
    ) -> BundleVersion:
        """Return a version that is sealed as the API seals it.

        Args:
            script: the script's name.
            code: the main module's text, or all modules as name to content type and contents, the main one first.
            bindings: the bindings as they are uploaded.
            members: further members of `BundleVersion`.
        """
        self._versions += 1
        files = {"index.js": (JS, code.encode())} if isinstance(code, str) else code
        modules = tuple(
            BundleModule(name, kind, self.source.store_module(body)) for name, (kind, body) in files.items()
        )
        parsed = [(parse_binding(dict(binding), "", 0), self.stored_in(binding)) for binding in bindings]
        defaults: dict[str, Any] = {
            "id": f"00000000-0000-4000-8000-{self._versions:012d}",
            "percentage": 100.0,
            "created_on": "2026-11-24T00:00:00Z",
            "main_module": next(iter(files)),
            "compatibility_date": DATE,
        }
        sealed = tuple(replace(self.binding(script, binding), stored=secret) for binding, secret in parsed)
        return BundleVersion(modules=modules, bindings=sealed, **(defaults | members))

    @staticmethod
    def takes(binding: Binding) -> bool:
        """Return whether the API accepts a binding."""
        try:
            parse_binding(dict(binding), "", 0)
        except NightsafeError:
            return False
        return True

    def binding(self, script: str, parsed: Any) -> BundleBinding:
        """Return a binding as the store keeps it."""
        if isinstance(parsed, PlainBinding):
            return BundleBinding(parsed.name, parsed.kind, msgspec.Raw(parsed.public_json()))
        record = self.seal(script, parsed)
        return BundleBinding(parsed.name, parsed.kind, msgspec.Raw(parsed.public_json()), record, since=1)

    def seal(self, script: str, secret: Secret) -> bytes:
        """Return a secret's stored record."""
        context = Context(
            account_id=ACCOUNT,
            namespace="",
            script=script,
            name=secret.name,
            kind=secret.kind,
            public=secret.public_metadata(),
        )
        assert isinstance(secret.value, SecretValue)
        return self.record(context, self.sealer.seal(context, secret.value))

    def record(self, context: Context, sealed: bytes) -> bytes:
        """Return the stored record of a sealed value."""
        return proven_record(self.signing_key, context, sealed)

    def stored_in(self, binding: Binding) -> StoredSecret | None:
        """Return the Secrets Store secret that a binding refers to, or None."""
        if binding["type"] != "secrets_store_secret" or "value" not in binding:
            return None
        return self.seal_stored(binding["secret_name"], binding["value"])

    def seal_stored(self, secret: str, value: str) -> StoredSecret:
        """Return a Secrets Store secret as the store keeps it."""
        context = Context(
            account_id=ACCOUNT, namespace=STORE_NAMESPACE, script=STORE, name=secret, kind="secret_text"
        )
        record = self.record(context, self.sealer.seal(context, SecretValue(value.encode())))
        return StoredSecret(store_id=STORE, name=secret, sealed_name=secret, record=record)

    def seal_text(self, script: str, name: str, value: str) -> BundleBinding:
        """Return a `secret_text` binding as the store keeps it."""
        return self.binding(script, SecretText(name, SecretValue(value.encode())))

    async def serve(self, script: str, *versions: BundleVersion) -> None:
        """Deploy versions of a script, and wait until they are served."""
        await self.source.wait_until_acknowledged(await self.put(script, *versions))

    async def put(self, script: str, *versions: BundleVersion) -> int:
        """Deploy versions of a script, or delete it if there are none; return the serial of that change."""
        self._deletions[script] += not versions
        script_id = f"{self._deletions[script]:032}" if versions else ""
        bundle = Bundle(account_id=ACCOUNT, script=script, serial=0, versions=versions, script_id=script_id)
        return await self.source.put(stated(bundle, self.signing_key, self.source.serial + 1))

    async def upload(self, script: str, code: Any, bindings: Sequence[Binding] = (), **members: Any) -> None:
        """Deploy one version of a script, and wait until it is served."""
        await self.serve(script, self.version(script, code, bindings, **members))

    async def get(self, script: str, path: str = "/", **headers: str) -> httpx.Response:
        """Send a GET request to a script by its host name."""
        host = {"host": f"{script}.localhost:{self.port}"}
        return await self.client.get(path, headers=host | {k.replace("_", "-"): v for k, v in headers.items()})

    async def stats(self) -> dict[str, int]:
        """Return the counters of all dispatchers, summed."""
        supervisor = self.delivery.supervisor
        counters: Counter[str] = Counter()
        for child in (supervisor.current, *supervisor.cells):
            counters.update(json.loads(await child.ask("/stats")))
        return dict(counters)
