"""The ASGI application: a fast path for the most frequent read, and the router for all other requests."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from nightsafe.api import health
from nightsafe.api.audit import logs, logs_v1, transparency_log
from nightsafe.api.delivery import approvals, bundles, change_feed, code_checks, processes
from nightsafe.api.dispatch import namespaces
from nightsafe.api.http.envelope import FIXED_HEADERS, in_envelope
from nightsafe.api.http.path import decode_segment
from nightsafe.api.http.routing import address_of, fail, router
from nightsafe.api.identity import accounts, tokens, users
from nightsafe.api.key_rotation import public_ring, resealing
from nightsafe.api.pages import projects
from nightsafe.api.scripts import content, references, scripts, service_environments, settings, triggers
from nightsafe.api.secrets import secret_versions, secrets
from nightsafe.api.secrets_store import stores
from nightsafe.api.unsettled_writes import UnsettledWrites
from nightsafe.api.unsupported import routes
from nightsafe.api.versions import deployments, deployments_by_script, versions
from nightsafe.api.workers import previews, workers
from nightsafe.audit.sinks.shipper import Shipper
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import Action
from nightsafe.identity.policy import Resource
from nightsafe.identity.service import Authenticator, Principal
from nightsafe.services.audit.recorder import Recorder
from nightsafe.services.caller import Caller
from nightsafe.services.delivery.admission import DeliveryOptions
from nightsafe.services.delivery.siblings import Siblings
from nightsafe.services.limits import Limits
from nightsafe.services.secrets.seal import Safe
from nightsafe.services.services import Services
from nightsafe.store.interface import Store
from nightsafe.store.scripts import ScriptRef

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_PAGES = (
    settings.resources,
    content.resources,
    versions.resources,
    deployments.resources,
    deployments_by_script.resources,
    previews.resources,
    workers.resources,
    service_environments.resources,
    triggers.resources,
    references.resources,
    namespaces.resources,
    projects.resources,
    stores.resources,
    routes.resources,
    change_feed.resources,
    approvals.resources,
    bundles.resources,
    resealing.resources,
    processes.resources,
    code_checks.resources,
    logs.resources,
    logs_v1.resources,
    transparency_log.resources,
)
_BASE = b"/client/v4/"
_DOUBLE_SLASH_BASE = b"/client/v4//"
"""The start of a path when a client's base URL ends with a slash."""

_PREFIX = b"/client/v4/accounts/"
_SEGMENTS = 10
_ANNOUNCE_BODY = (b"content-length", b"transfer-encoding")


class App:
    """Nightsafe's API over a store and a safe.

    Args:
        store: holds all data.
        safe: seals values; it cannot open them.
        limits: the limits of requests.
        delivery_options: the operator's settings of delivery.
        audit_reads: whether the audit log has reads too.
        shippers: ship the audit log; the health probe shows how far they are.
        siblings: the other API processes of this server.
    """

    def __init__(  # noqa: PLR0913 - the parts of the API
        self,
        store: Store,
        safe: Safe,
        limits: Limits,
        delivery_options: DeliveryOptions | None = None,
        shippers: Sequence[Shipper] = (),
        *,
        siblings: Siblings | None = None,
        audit_reads: bool = False,
    ) -> None:
        self._store = store
        self._authenticator = Authenticator(store)
        self._recorder = Recorder(store, reads=audit_reads)
        services = Services(store, safe, limits, delivery_options or DeliveryOptions(), siblings or Siblings())
        resources = [
            *secrets.resources(services),
            *scripts.resources(services),
            *tokens.resources(services.tokens),
            *users.resources(services.users),
            *accounts.resources(services.accounts),
            *public_ring.resources(safe),
            *(resource for page in _PAGES for resource in page(services)),
            *secret_versions.resources(services.secret_versions),
        ]
        self.transparency_log = services.transparency_log
        """The log, whose checkpoints witnesses cosign."""
        self._change_feed = services.change_feed
        self._code_checks = services.code_checks
        self._unsettled_writes = None if store.knows_every_commit else UnsettledWrites()
        self._router = router(
            resources,
            self._authenticator,
            limits,
            services.change_feed.acted_on,
            services.processes.notices,
            self._recorder,
            self._unsettled_writes,
        )
        self._health = health.Health(store, safe, shippers)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        """Answer one ASGI request."""
        if scope["type"] != "http":
            return
        raw_path: bytes = scope["raw_path"]
        if raw_path.startswith(_DOUBLE_SLASH_BASE):
            raw_path = scope["raw_path"] = _BASE + raw_path[len(_DOUBLE_SLASH_BASE) :]
        if scope["method"] == "GET" and raw_path.startswith(_PREFIX):
            try:
                secret_json = await self._cached_secret(scope, raw_path)
            except NightsafeError as error:
                if error.code is Code.NO_PRIMARY:  # the router would wait as long once more
                    await fail(scope, receive, send, error)
                    return
                secret_json = None
            if secret_json is not None:
                await _send_secret(send, secret_json)
                return
        elif raw_path in health.PATHS:
            await self._health(scope, receive, send)
            return
        scope["path"] = raw_path.decode("latin-1")
        await self._router(scope, receive, send)

    def end_waiting(self) -> None:
        """End every request that waits for changes, checks or an outcome, because the server is about to stop."""
        self._change_feed.end()
        self._code_checks.end()
        if self._unsettled_writes is not None:
            self._unsettled_writes.end()

    async def close(self) -> None:
        """Write the audit entries that wait in memory, after the last answer and before the store closes."""
        await self._recorder.close()

    async def _cached_secret(self, scope: dict[str, Any], raw_path: bytes) -> bytes | None:
        """Return the public view of the secret that a GET asks for, if the fast path can answer.

        The fast path needs a remembered Bearer token that may read the secret from this address, a request without a
        body, and a secret that exists. On None, the router takes the request: it gives the same answer, discards the
        body, or refuses.
        """
        parts = raw_path.split(b"/")
        if len(parts) != _SEGMENTS or parts[8] != b"secrets" or parts[5] != b"workers" or parts[6] != b"scripts":
            return None
        token = None
        for name, value in scope["headers"]:
            if name == b"authorization":
                if token is not None or value[:7] != b"Bearer ":
                    return None
                token = value[7:]
            elif name in _ANNOUNCE_BODY:
                return None
        principal = self._authenticator.cached_principal(token) if token else None
        if token is None or principal is None or not principal.may_come_from(address_of(scope)):
            return None
        account = parts[4].decode("latin-1")
        script, secret = (decode_segment(part.decode("latin-1"), raw_path) for part in (parts[7], parts[9]))
        if not principal.grants.allow(Action.READ_SECRETS, Resource(account, script)):
            return None
        ref = ScriptRef(account, script)
        secret_json = await self._secret_for(ref, secret)
        if secret_json is not None and self._recorder.reads:
            await self._recorder.viewed(_reader(principal, scope, ref), ref, secret)
        return secret_json

    async def _secret_for(self, ref: ScriptRef, name: str) -> bytes | None:
        """Return a secret's public view; None if an identity was written since the token was looked up."""
        if self._store.knows_every_commit:
            return await self._store.secret(ref, name)
        cached = self._authenticator.generation
        secret_json, generation = await self._store.secret_and_identity_generation(ref, name)
        return secret_json if generation == cached else None


def _reader(principal: Principal, scope: dict[str, Any], ref: ScriptRef) -> Caller:
    """Return the caller that reads a secret by the fast path."""
    action = Action.READ_SECRETS
    return Caller(
        principal,
        address=address_of(scope),
        permission=action,
        policy=principal.grants.allowed_by(action, Resource(ref.account_id, ref.name)) or "",
        method="GET",
        path=scope["raw_path"].decode("latin-1"),
        user_agent=dict(scope["headers"]).get(b"user-agent", b""),
    )


async def _send_secret(send: Send, secret_json: bytes) -> None:
    """Send the 200 of the fast path."""
    body = in_envelope(secret_json)
    headers = [*FIXED_HEADERS, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
