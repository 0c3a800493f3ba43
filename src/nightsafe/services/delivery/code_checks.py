"""Lets uploads wait briefly until a delivery process has had the runtime load their code.

The API process that receives the upload keeps this state in memory. Without a process that checks code, no upload
waits. An upload without a verdict in time is accepted.

A delivery process may ask another API process of the same server for code to check. That process then claims the
check from the one that received the upload, which hands it over in memory that both share.
"""

import asyncio
import os
import secrets
import time
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Final

import msgspec

from nightsafe.bundle.code_checks import LONGEST_WAIT, CheckedModule, CodeCheck
from nightsafe.bundle.compatibility import fields_of, module_kind
from nightsafe.bundle.model import BundleVersion
from nightsafe.errors import NightsafeError
from nightsafe.services.delivery.siblings import (
    AccountChecks,
    Claim,
    HandedCheck,
    Message,
    PassedVerdict,
    Siblings,
    StateChanged,
)
from nightsafe.services.scripts.modules import Source
from nightsafe.store.scripts import Module

_MARGIN_SECONDS: Final = 0.5
_AWAY_SECONDS: Final = 3.0
_MAX_BYTES: Final = 32 * 1024 * 1024
_MAX_WAITING: Final = 16
_WASM_PART_KIND: Final = "wasm_module"
_COMPILED_KINDS: Final = frozenset({"js", "cjs", "json", "wasm"})
_LONGEST_PROBLEM: Final = 500
_LONGEST_ID: Final = 100


class _AccountChecks:
    """The pending checks of an account, and the processes that check.

    Attributes:
        checks: the checks that no process has taken.
        handed: the checks that other API processes have handed over, with the time until which a verdict helps.
        verdicts: by check ID, a future for the verdict.
        new_check: set when a check arrives.
        active_checkers: how many processes are waiting for a check at this moment.
        last_seen_at: when the last of them was answered.
    """

    def __init__(self) -> None:
        self.checks: deque[CodeCheck] = deque()
        self.handed: deque[tuple[CodeCheck, float]] = deque()
        self.verdicts: dict[str, asyncio.Future[str]] = {}
        self.new_check = asyncio.Event()
        self.active_checkers = 0
        self.last_seen_at = float("-inf")

    def answer(self, check_id: str, problem: str) -> None:
        """Give a verdict to the upload that waits for it, if it still waits."""
        waiting = self.verdicts.get(check_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(problem)


class CodeChecks:
    """Passes uploads to the processes that check them, and the verdicts back.

    Args:
        clock: a monotonic clock, in seconds, the same for all API processes.
        siblings: the other API processes of this server.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, siblings: Siblings | None = None) -> None:
        self._clock: Final = clock
        self._siblings: Final = siblings or Siblings()
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._siblings.on_message(self._hear)
        self._accounts: defaultdict[str, _AccountChecks] = defaultdict(_AccountChecks)
        self._ended = False

    async def problem_of(self, account_id: str, source: Source, version: BundleVersion) -> str:
        """Return the runtime's complaint about the code of a version.

        Return "" if it has no complaint, if there is no verdict in time, or if nothing checks the code.
        """
        if self._is_away(account_id):
            return ""
        account = self._accounts[account_id]
        check = _build_check(source, version)
        if check is None or len(account.checks) >= _MAX_WAITING:
            return ""
        verdict: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        account.verdicts[check.id] = verdict
        account.checks.append(check)
        account.new_check.set()
        self._publish()
        try:
            return await asyncio.wait_for(verdict, check.seconds + _MARGIN_SECONDS)
        except TimeoutError:
            return ""
        finally:
            del account.verdicts[check.id]
            if check in account.checks:
                account.checks.remove(check)
                self._publish()

    async def next(self, account_id: str, seconds: float) -> CodeCheck | None:
        """Return an upload to check; None if there is none within some seconds."""
        account = self._accounts[account_id]
        account.active_checkers += 1
        self._publish()
        try:
            deadline = self._clock() + min(seconds, LONGEST_WAIT)
            while (check := self._take(account)) is None and not self._ended:
                if (left := deadline - self._clock()) <= 0:
                    break
                account.new_check.clear()
                self._siblings.claim(account_id)
                with suppress(TimeoutError):
                    await asyncio.wait_for(account.new_check.wait(), left)
        finally:
            account.active_checkers -= 1
            account.last_seen_at = self._clock()
            self._publish()
        if check is not None:
            account.last_seen_at += check.seconds  # the check takes no longer than this
            self._publish()
        return check

    def record_verdict(self, account_id: str, check_id: str, problem: str) -> None:
        """Record the verdict on an upload. Ignore it if the upload no longer waits.

        A process that sends a verdict counts as present.
        """
        account = self._accounts[account_id]
        account.last_seen_at = self._clock()
        self._publish()
        printable = "".join(character for character in problem if character.isprintable())[:_LONGEST_PROBLEM]
        if check_id in account.verdicts:
            account.answer(check_id, printable)
        else:
            self._siblings.tell(PassedVerdict(account_id, check_id[:_LONGEST_ID], printable))

    def end(self) -> None:
        """Answer all waiting requests: the server is about to stop."""
        self._ended = True
        for account in self._accounts.values():
            account.new_check.set()

    def _take(self, account: _AccountChecks) -> CodeCheck | None:
        """Return and remove the next check, or None. A check that no upload waits for any more is skipped."""
        while account.handed:
            check, until = account.handed.popleft()
            if self._clock() < until:
                return check
        return account.checks.popleft() if account.checks else None

    def _is_away(self, account_id: str) -> bool:
        """Tell whether no process checks an account's code: none waits, and none was seen in the last seconds."""
        own = self._accounts.get(account_id)
        active = own.active_checkers if own else 0
        last_seen_at = own.last_seen_at if own else float("-inf")
        self._siblings.refresh()
        for state in self._siblings.states:
            for checks in state.checks:
                if checks.account_id == account_id:
                    active += checks.active_checkers
                    last_seen_at = max(last_seen_at, checks.last_seen_at)
        return not active and self._clock() - last_seen_at > _AWAY_SECONDS

    def _publish(self) -> None:
        """Let the other API processes know how many checks wait here, and which processes check."""
        if self._siblings.exist:
            self._siblings.own.checks = tuple(
                AccountChecks(
                    account_id=account_id,
                    waiting=len(account.checks),
                    active_checkers=account.active_checkers,
                    last_seen_at=account.last_seen_at,
                )
                for account_id, account in self._accounts.items()
            )
            self._siblings.publish()

    def _hear(self, message: Message, descriptor: int | None) -> None:
        """Act on a message of another API process."""
        if isinstance(message, StateChanged):
            for account in self._accounts.values():
                if account.active_checkers:
                    account.new_check.set()  # each waiting request looks whether there is a check to claim
        elif isinstance(message, Claim):
            self._start(self._hand_over(message))
        elif isinstance(message, HandedCheck) and descriptor is not None:
            self._start(self._accept(message.account_id, os.dup(descriptor)))
        elif isinstance(message, PassedVerdict) and message.account_id in self._accounts:
            self._accounts[message.account_id].answer(message.check_id, message.problem)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        """Start a task."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hand_over(self, claim: Claim) -> None:
        """Hand the next check of an account over to the process that claims it."""
        account = self._accounts.get(claim.account_id)
        if account is None or not account.checks:
            return
        check = account.checks.popleft()
        self._publish()
        try:
            descriptor = await asyncio.to_thread(_write_check, check)
        except OSError:
            return  # there is no memory for it; without a verdict, the upload is accepted
        try:
            if (
                not self._siblings.hand_over(claim.claimant, claim.account_id, descriptor)
                and check.id in account.verdicts
            ):
                account.checks.appendleft(check)
                self._publish()
        finally:
            os.close(descriptor)

    async def _accept(self, account_id: str, descriptor: int) -> None:
        """Accept a check that another process hands over, for a delivery process that waits here."""
        check = await asyncio.to_thread(_read_check, descriptor)
        account = self._accounts[account_id]
        account.handed.append((check, self._clock() + check.seconds))
        account.new_check.set()


def _write_check(check: CodeCheck) -> int:
    """In a thread, write a check to new memory. Return the memory's descriptor."""
    descriptor = os.memfd_create("nightsafe-check")
    with os.fdopen(os.dup(descriptor), "wb") as content:
        content.write(msgspec.msgpack.encode(check))
    return descriptor


def _read_check(descriptor: int) -> CodeCheck:
    """In a thread, read a check from memory, and close its descriptor."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    with os.fdopen(descriptor, "rb") as content:
        return msgspec.msgpack.decode(content.read(), type=CodeCheck)


def _build_check(source: Source, version: BundleVersion) -> CodeCheck | None:
    """Return the check for an upload; None if there is no code to load, or too much."""
    parts = (
        tuple(fields_of(binding)["part"] for binding in version.bindings if binding.kind == _WASM_PART_KIND)
        if source.classic
        else ()
    )
    needed = {source.main_module, *parts}
    files = [module for module in source.modules if not source.classic or module.name in needed]
    modules = tuple(_modules_to_check(files, source.main_module))
    if not modules or sum(len(module.body) for module in modules) > _MAX_BYTES:
        return None
    return CodeCheck(
        id=secrets.token_hex(8),
        main_module=source.main_module,
        classic=source.classic,
        date=version.compatibility_date,
        flags=version.compatibility_flags,
        modules=modules,
        parts=parts,
    )


def _modules_to_check(modules: Iterable[Module], main: str) -> Iterable[CheckedModule]:
    """Yield the files that can be imported, with the contents of the files that the runtime compiles."""
    for module in modules:
        try:
            kind = module_kind(module.content_type)
        except NightsafeError:
            continue
        if kind or module.name == main:
            body = module.body if kind in _COMPILED_KINDS or module.name == main else b""
            yield CheckedModule(module.name, module.content_type, body)
