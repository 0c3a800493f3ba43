"""Lets uploads wait briefly until a delivery process has had the runtime load their code.

The API process that receives the upload keeps this state in memory. Without a process that checks code, no upload
waits. An upload without a verdict in time is accepted.
"""

import asyncio
import secrets
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from nightsafe.bundle.code_checks import LONGEST_WAIT, CheckedModule, CodeCheck
from nightsafe.bundle.compatibility import fields_of, module_kind
from nightsafe.bundle.model import BundleVersion
from nightsafe.errors import NightsafeError
from nightsafe.services.scripts.modules import Source
from nightsafe.store.scripts import Module

_MARGIN_SECONDS: Final = 0.5
_AWAY_SECONDS: Final = 3.0
_MAX_BYTES: Final = 32 * 1024 * 1024
_MAX_WAITING: Final = 16
_WASM_PART_KIND: Final = "wasm_module"
_COMPILED_KINDS: Final = frozenset({"js", "cjs", "json", "wasm"})
_LONGEST_PROBLEM: Final = 500


class _AccountChecks:
    """The pending checks of an account, and the processes that check.

    Attributes:
        checks: the checks that no process has taken.
        verdicts: by check ID, a future for the verdict.
        new_check: set when a check arrives.
        active_checkers: how many processes are waiting for a check at this moment.
        last_seen_at: when the last of them was answered.
    """

    def __init__(self) -> None:
        self.checks: deque[CodeCheck] = deque()
        self.verdicts: dict[str, asyncio.Future[str]] = {}
        self.new_check = asyncio.Event()
        self.active_checkers = 0
        self.last_seen_at = float("-inf")


class CodeChecks:
    """Passes uploads to the processes that check them, and the verdicts back.

    Args:
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock: Final = clock
        self._accounts: defaultdict[str, _AccountChecks] = defaultdict(_AccountChecks)
        self._ended = False

    async def problem_of(self, account_id: str, source: Source, version: BundleVersion) -> str:
        """Return the runtime's complaint about the code of a version.

        Return "" if it has no complaint, if there is no verdict in time, or if nothing checks the code.
        """
        if account_id not in self._accounts:
            return ""
        account = self._accounts[account_id]
        check = _build_check(source, version)
        away = not account.active_checkers and self._clock() - account.last_seen_at > _AWAY_SECONDS
        if check is None or away or len(account.checks) >= _MAX_WAITING:
            return ""
        verdict: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        account.verdicts[check.id] = verdict
        account.checks.append(check)
        account.new_check.set()
        try:
            return await asyncio.wait_for(verdict, check.seconds + _MARGIN_SECONDS)
        except TimeoutError:
            return ""
        finally:
            del account.verdicts[check.id]
            if check in account.checks:
                account.checks.remove(check)

    async def next(self, account_id: str, seconds: float) -> CodeCheck | None:
        """Return an upload to check; None if there is none within some seconds."""
        account = self._accounts[account_id]
        account.active_checkers += 1
        try:
            deadline = self._clock() + min(seconds, LONGEST_WAIT)
            while not account.checks and not self._ended and (left := deadline - self._clock()) > 0:
                account.new_check.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(account.new_check.wait(), left)
            check = account.checks.popleft() if account.checks else None
        finally:
            account.active_checkers -= 1
            account.last_seen_at = self._clock()
        if check is not None:
            account.last_seen_at += check.seconds  # the check takes no longer than this
        return check

    def record_verdict(self, account_id: str, check_id: str, problem: str) -> None:
        """Record the verdict on an upload. Ignore it if the upload no longer waits.

        A process that sends a verdict counts as present.
        """
        account = self._accounts[account_id]
        account.last_seen_at = self._clock()
        waiting = account.verdicts.get(check_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(
                "".join(character for character in problem if character.isprintable())[:_LONGEST_PROBLEM]
            )

    def end(self) -> None:
        """Answer all waiting requests: the server is about to stop."""
        self._ended = True
        for account in self._accounts.values():
            account.new_check.set()


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
