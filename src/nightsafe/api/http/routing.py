"""Routes a request to the handler of a resource, and turns every refusal on the way into an answer.

Starlette's router gets the raw path, so that an encoded slash stays inside its segment. Slashes are not merged or
stripped, and no path is redirected.
"""

import secrets
import traceback
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from functools import partial
from typing import Any

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace
from starlette.routing import Route, Router

from nightsafe.api.http.authentication import FAILED_CREDENTIALS, AddressRefusedError, authenticate
from nightsafe.api.http.body import Incoming
from nightsafe.api.http.body_budget import BodyBudget, MemoryLane
from nightsafe.api.http.envelope import Reply, failure, with_notices
from nightsafe.api.http.errors import row_for
from nightsafe.api.http.path import account_id, bad_identifier, decode_segment, policy_name, script_of
from nightsafe.api.http.rate_limits import note_failure, try_again
from nightsafe.api.http.request import Call, Handler, source_of
from nightsafe.api.http.streaming import join_small_reply, send_reply
from nightsafe.api.unsettled_writes import UnsettledWrites, Write
from nightsafe.api.unsupported.paths import refusal_of
from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.identity import policy
from nightsafe.identity.permissions import Action
from nightsafe.identity.service import Authenticator, Principal
from nightsafe.services.audit.recorder import Recorder
from nightsafe.services.caller import Caller
from nightsafe.services.limits import Limits
from nightsafe.store.scripts import ScriptRef

_log = structlog.get_logger()
_REFUSED_CALLERS = FAILED_CREDENTIALS | frozenset(
    {
        Code.NO_CREDENTIALS,
        Code.INVALID_API_TOKEN,
        Code.AUTHENTICATION_FAILED,
        Code.ADDRESS_REFUSED,
        Code.NOT_PERMITTED,
        Code.NOT_AUTHORIZED,
        Code.STORE_NOT_GRANTED,
        Code.TARGET_NOT_GRANTED,
    }
)
_OK = 200
_FORBIDDEN = 403
_TIMED_OUT = 408
_RETRY_SOON = ((b"retry-after", b"5"),)
"""The `Retry-After` header of an unavailable server. Official clients follow it."""

_NAMES_OF_SCRIPTS = frozenset({"account_id", "script_name", "namespace", "environment"})
"""The names in a path that an audit entry has as the account and the script."""

_WAITING_ACTIONS = frozenset({Action.WRITE_SCRIPTS, Action.WRITE_SECRETS, Action.WRITE_STORES})
"""Actions whose answers wait until the delivery processes, if any, have acted on them."""

Scope = MutableMapping[str, Any]
WaitForDelivery = Callable[[str], Awaitable[None]]
"""Waits, for a short time at most, until an account's writes have been delivered."""

NoticesOf = Callable[[ScriptRef], Sequence[Problem]]
"""Returns the notices that every answer about a script includes."""


class Resource(Struct, frozen=True):
    """One method on one path, with the permission it needs and its handler.

    A path with `{account_id}` belongs to an account, which must exist and be visible to the caller. A path that also
    has `{script_name}` belongs to a script of that account, and the script globs of policies apply. Any other path
    belongs to the caller's own user. Without an action, the handler decides by `call.caller.principal`.

    Attributes:
        method: the method, in capitals.
        path: the path in Starlette's syntax.
        action: the action that the caller must be allowed to do, or None if valid credentials are enough.
        handler: answers the request.
        unknown: the refusal of an unknown, disabled or expired token; by default NOT_PERMITTED below an account and
            UNKNOWN_TOKEN elsewhere.
        polled: whether delivery processes ask again and again, so that the audit log never has these reads.
    """

    method: str
    path: str
    action: Action | None
    handler: Handler
    unknown: Code | None = None
    polled: bool = False

    @property
    def is_of_account(self) -> bool:
        """Tell whether the resource belongs to an account, and not to a user."""
        return "{account_id}" in self.path


class Gate:
    """Checks method, names, credentials and permission of a request, in this order, and calls its handler."""

    def __init__(  # noqa: PLR0913, PLR0917 - all that a request passes
        self,
        resources: Iterable[Resource],
        authenticator: Authenticator,
        limits: Limits,
        body_budget: BodyBudget,
        wait_for_delivery: WaitForDelivery,
        notices: NoticesOf,
        recorder: Recorder,
        unsettled_writes: UnsettledWrites | None,
    ) -> None:
        self._by_method = {resource.method: resource for resource in resources}
        self._authenticator = authenticator
        self._limits = limits
        self._body_budget = body_budget
        self._wait_for_delivery = wait_for_delivery
        self._notices = notices
        self._recorder = recorder
        self._unsettled_writes = unsettled_writes

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer one request, even after an unexpected failure."""
        if self._unsettled_writes is None or scope["method"] == "GET":
            await answer(scope, receive, send, self._reply)
            return
        write = Write(self._unsettled_writes, send)
        try:
            await answer(scope, receive, write.send, partial(self._reply, write=write))
        finally:
            write.end()

    async def _reply(self, scope: Scope, receive: Any, write: Write | None = None) -> Reply:
        """Return the handler's answer after all checks."""
        resource = self._by_method.get(scope["method"])
        if resource is None:
            allowed = ", ".join(sorted(self._by_method)).encode()
            return failure(NightsafeError(Code.METHOD_NOT_ALLOWED), [(b"allow", allowed)])
        raw_path = scope["raw_path"]
        names = {name: decode_segment(segment, raw_path) for name, segment in scope["path_params"].items()}
        account = account_id(scope["path_params"]["account_id"], raw_path) if resource.is_of_account else ""
        ref, headers = script_of(account, names), dict(scope["headers"])
        caller = await self._caller(scope, resource, headers, ref)
        try:
            allowed_by = await self._allowing_policy(caller.principal, resource, account, policy_name(ref))
            caller = replace(caller, policy=allowed_by)
            call = Call(
                caller=caller,
                account_id=account,
                names=names,
                query=scope["query_string"],
                headers=headers,
                receive=receive,
                limits=self._limits,
            )
            waits = self._body_budget.lane(headers)
            handle = partial(self._call_handler, resource.handler, waits)
            reply = await (handle(call) if write is None else write.reply(call, handle, remembers=waits is None))
        except NightsafeError as error:
            await self._record_refusal(caller, ref, error)
            raise
        if resource.action in _WAITING_ACTIONS:
            await self._wait_for_delivery(account)
        if self._recorder.reads and resource.method == "GET" and not resource.polled and reply.status == _OK:
            others = [name for kind, name in names.items() if kind not in _NAMES_OF_SCRIPTS]
            await self._recorder.viewed(caller, ref, others[-1] if others else "")
        return with_notices(reply, self._notices(ref))

    async def _caller(self, scope: Scope, resource: Resource, headers: dict[bytes, bytes], ref: ScriptRef) -> Caller:
        """Return the authenticated caller, whose permission is not decided yet."""

        def caller_of(principal: Principal) -> Caller:
            """Return the caller of this request."""
            user_agent = headers.get(b"user-agent", b"")
            return Caller(
                principal,
                source_of(user_agent),
                address_of(scope),
                permission=resource.action or "",
                method=resource.method,
                path=scope["path"],
                user_agent=user_agent,
            )

        try:
            return caller_of(await self._principal(scope, resource))
        except AddressRefusedError as error:
            await self._record_refusal(caller_of(error.principal), ref, error)
            raise

    async def _record_refusal(self, caller: Caller, ref: ScriptRef, error: NightsafeError) -> None:
        """Record the refusal of a caller by policy; a request that fails for another reason has no entry."""
        status = row_for(error.code).status
        if status == _FORBIDDEN:
            await self._recorder.refused(caller, ref, status, error.code)

    async def _call_handler(self, handler: Handler, waits: tuple[MemoryLane, int] | None, call: Call) -> Reply:
        """Return the handler's answer. The handler starts when the budget has memory for the body.

        Args:
            handler: the handler.
            waits: the budget, and the bytes to take of it; None for a small body.
            call: the request.
        """
        if waits is None:
            return await handler(call)
        lane, size = waits
        async with lane.reserve(size):
            return await handler(msgspec.structs.replace(call, receive=lane.with_minimum_speed(call.receive)))

    async def _principal(self, scope: Scope, resource: Resource) -> Principal:
        """Return the caller; refuse an unknown one with the code that this resource uses."""
        try:
            return await authenticate(scope["headers"], address_of(scope), self._authenticator)
        except NightsafeError as error:
            note_failure(scope, error)
            if error.code != Code.UNKNOWN_TOKEN:
                raise
            unknown = resource.unknown or (Code.NOT_PERMITTED if resource.is_of_account else Code.UNKNOWN_TOKEN)
            raise NightsafeError(unknown, error.problems[0].detail) from None

    async def _allowing_policy(self, principal: Principal, resource: Resource, account: str, script: str) -> str:
        """Return the id of the policy that admits the caller, or "" where the handler decides.

        Raises:
            NightsafeError: NOT_PERMITTED, also for an account that does not exist; NOT_AUTHORIZED outside of
                accounts.
        """
        refusal = Code.NOT_PERMITTED if resource.is_of_account else Code.NOT_AUTHORIZED
        target = policy.Resource(account, script) if resource.is_of_account else principal.user()
        allowed_by: str | None = ""
        if resource.action is not None:
            allowed_by = principal.grants.allowed_by(resource.action, target)
        if allowed_by is None or (account and not principal.grants.has_access_to(account)):
            where = f"in account {account}" if account else "for its user"
            what = resource.action or "anything"
            raise NightsafeError(refusal, f"{what} {where} is not granted to {principal.kind} {principal.id}")
        if account and not await self._authenticator.has_account(account):
            raise NightsafeError(refusal, f"there is no account {account}")
        return allowed_by


async def answer(scope: Scope, receive: Any, send: Any, make_reply: Any) -> None:
    """Send the answer of `make_reply`, or its refusal. An unexpected failure becomes a 500 without detail."""
    incoming = Incoming(scope, receive)
    try:
        reply = await join_small_reply(await make_reply(scope, incoming))
    except NightsafeError as error:
        _log_refusal(scope, error)
        reply = failure(error, _retry_after_headers(scope, error))
    except Exception as error:  # noqa: BLE001 - the outermost handler: every error becomes an answer
        reply = _internal_error(scope, error)
    if reply.status == _TIMED_OUT or not await incoming.discard():
        reply = replace(reply, headers=(*reply.headers, (b"connection", b"close")))
    try:
        await send_reply(send, reply)
    except NightsafeError as error:  # the server cuts the connection: that is the only way to tell the client
        _log_refusal(scope, error)


def fail(scope: Scope, receive: Any, send: Any, error: NightsafeError) -> Awaitable[None]:
    """Answer with an error that was found before the router."""

    async def reply(_: Scope, __: Any) -> Reply:
        """Raise the error."""
        raise error

    return answer(scope, receive, send, reply)


def refuse(
    scope: Scope, receive: Any, send: Any, error: NightsafeError, headers: Iterable[tuple[bytes, bytes]] = ()
) -> Awaitable[None]:
    """Refuse a request before any other work, and discard the rest of its body."""

    async def reply(_: Scope, __: Any) -> Reply:
        """Return the refusal."""
        return failure(error, headers)

    return answer(scope, receive, send, reply)


def router(  # noqa: PLR0913, PLR0917 - all that a request passes
    resources: Iterable[Resource],
    authenticator: Authenticator,
    limits: Limits,
    wait_for_delivery: WaitForDelivery,
    notices: NoticesOf,
    recorder: Recorder,
    unsettled_writes: UnsettledWrites | None,
) -> Router:
    """Return a router over raw paths. An unknown path gets an answer in an envelope too."""
    by_path: dict[str, list[Resource]] = defaultdict(list)
    for resource in resources:
        by_path[resource.path].append(resource)
    body_budget = BodyBudget(limits)
    passed = (authenticator, limits, body_budget, wait_for_delivery, notices, recorder, unsettled_writes)
    routes = [Route(path, Gate(group, *passed)) for path, group in by_path.items()]
    return Router(routes, redirect_slashes=False, default=_no_route)


async def _no_route(scope: Scope, receive: Any, send: Any) -> None:
    """Refuse an unknown path: by the name of a missing product, else with 404 below an account, else with 400."""

    async def no_such_path(scope: Scope, _: Any) -> Reply:
        """Raise the refusal."""
        absent = refusal_of(scope["raw_path"])
        if absent is not None:
            raise absent
        no_route = NightsafeError(Code.NO_ROUTE)
        if not scope["raw_path"].startswith(b"/client/v4/accounts/"):
            raise no_route
        raise NightsafeError.of((*bad_identifier(scope["raw_path"]).problems, *no_route.problems))

    await answer(scope, receive, send, no_such_path)


def _retry_after_headers(scope: Scope, error: NightsafeError) -> Iterable[tuple[bytes, bytes]]:
    """Return the `Retry-After` header for a refusal that ends by itself, else nothing."""
    if error.code is Code.TOO_MANY_FAILURES:
        return (try_again(scope),)
    return _RETRY_SOON if error.code in {Code.UNAVAILABLE, Code.NO_PRIMARY} else ()


def address_of(scope: Scope) -> str:
    """Return the address that the request came from."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _log_refusal(scope: Scope, error: NightsafeError) -> None:
    """Log a refused caller with the reason, and every failure of Nightsafe itself."""
    problem: Problem = error.problems[0]
    if problem.code in _REFUSED_CALLERS:
        _log.warning(
            "refused", reason=problem.code, why=problem.detail, address=address_of(scope), method=scope["method"]
        )
    elif problem.code in {Code.STORE, Code.CANNOT_OPEN, Code.UNAVAILABLE, Code.NO_PRIMARY}:
        _log.error("failed", reason=problem.code, why=problem.detail)


def _internal_error(scope: Scope, error: Exception) -> Reply:
    """Return a 500. Log the type of the error and its lines, but no text that may hold a value."""
    ray = secrets.token_hex(8)
    lines = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    _log.error("unforeseen", ray=ray, error=type(error).__name__, method=scope["method"], lines=lines)
    return failure(NightsafeError(Code.STORE), [(b"cf-ray", ray.encode())])
