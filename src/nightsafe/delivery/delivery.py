"""Runs the whole delivery process: follows the source of bundles, keeps the bundles, and serves workerd."""

import asyncio
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import msgspec
import structlog

from nightsafe.bundle.processes import ScriptProblem
from nightsafe.delivery.approval.gate import Gate
from nightsafe.delivery.cache.bundle_cache import NOT_SERVED, BundleCache, Load, ServedScript
from nightsafe.delivery.cache.module_cache import ModuleCache
from nightsafe.delivery.cache.serials import Serials
from nightsafe.delivery.egress.egress import Egress
from nightsafe.delivery.load.worker_code import build_load
from nightsafe.delivery.probes import Readiness
from nightsafe.delivery.reports.processes import Reporter
from nightsafe.delivery.reports.reports import Reports
from nightsafe.delivery.settings import DeliverySettings, encode_network
from nightsafe.delivery.source.bundle_source import BundleSource
from nightsafe.delivery.source.follower import Follower
from nightsafe.delivery.source.log_check import LogCheck
from nightsafe.delivery.workerd.control import Answer, ControlServer
from nightsafe.delivery.workerd.folder import REACH_FOLDER, SocketFolder
from nightsafe.delivery.workerd.supervisor import Supervisor
from nightsafe.delivery.workerd.wire import Request
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.interfaces import Opener, Verifier

_log = structlog.get_logger()

_GONE: Final = 410
_CANNOT_OPEN: Final = 422


class Delivery:
    """Serves the scripts of one account on one workerd.

    Args:
        settings: the operator's settings.
        source: provides the bundles.
        verifier: verifies the bundles' signatures.
        opener: opens values; it has the private ring.
        listener: the socket for requests; `stop` closes it.
    """

    def __init__(
        self,
        settings: DeliverySettings,
        source: BundleSource,
        verifier: Verifier,
        opener: Opener,
        listener: socket.socket,
    ) -> None:
        self._settings: Final = settings
        self._opener: Final = opener
        self._listener: Final = listener
        self._serials: Final = Serials(settings.serials)
        approvers = settings.approvers
        gate = None if approvers is None else Gate(approvers, settings.account_id, self._serials)
        self._bundle_cache: Final = BundleCache(settings.account_id, verifier, self._serials, gate)
        self._module_cache: Final = ModuleCache(source)
        self._reports: Final = Reports(output=settings.worker_output)
        self._folder: Final = SocketFolder(settings.folder)
        control = self._folder.path / "control.sock"
        self._egress: Final = Egress(
            self._folder.path / REACH_FOLDER, settings.reach, settings.reach_never, private=settings.reach_private
        )
        self.supervisor: Final = Supervisor(
            settings.binary,
            listener,
            self._folder.path,
            control,
            settings.limits,
            self._reports.log_output if settings.worker_output else None,
            self._bundle_cache,
            reach=self._egress.folder,
            behind_proxies=bool(settings.trusted_proxies),
        )
        self._control: Final = ControlServer(control, self._answer, self.supervisor.pids)
        log_check = LogCheck(settings.account_id, source, verifier, self._serials, settings.witnesses)
        self.follower: Final = Follower(source, self._bundle_cache, self._module_cache, self._send_route, log_check)
        self.follower.tell_reporter = self.supervisor.changed.set
        self._reporter: Final = Reporter(
            source, self.supervisor, self.follower.waiting, self.follower.refused, self._unopened
        )
        self._failed_loads: Final[dict[int, ScriptProblem]] = {}
        """The loads with a value that does not open, by number, as they are reported."""
        self._stopping = False

    async def start(self) -> None:
        """Start to serve the scripts that the source has.

        Raises:
            NightsafeError: UNAVAILABLE, when workerd does not start, or another process uses the folder or the marks
                file; INVALID, when the folder or the marks file cannot be used.
        """
        try:
            self._serials.acquire()
            self._folder.acquire()
            self._egress.write()
            await self._control.start()
            await self.supervisor.start()
        except BaseException:
            await self._egress.stop()
            await self._control.stop()
            self._release_locks()
            raise
        self.follower.start()
        self._reporter.start()
        self._egress.start(self.supervisor.renew)

    def readiness(self) -> Readiness:
        """Return whether this process can serve scripts at this moment.

        Once all scripts are known, the process stays ready even when the API cannot be reached: it goes on serving
        them, and a load balancer that took every process out of use would end that.
        """
        missing = []
        if self._stopping:
            missing.append("the process is shutting down")
        if not self.supervisor.takes_requests:
            missing.append("workerd is not running")
        if not self.follower.knows_all:
            missing.append("the scripts have not been fetched yet")
        return Readiness(tuple(missing), "; ".join(self.follower.problems.get("", ())))

    async def watch(self) -> None:
        """Wait until one of the parts ends, which should never happen; the caller must then call `stop`.

        Raises:
            Exception: the error that ended the part.
        """
        parts = {
            asyncio.create_task(part.watch())
            for part in (self.follower, self.supervisor, self._reporter, self._egress)
        }
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in done:
                part.result()
        finally:
            for part in parts:
                part.cancel()

    async def stop(self) -> None:
        """Finish the requests in flight, then stop everything."""
        self._stopping = True
        await self.follower.stop()
        await self._reporter.stop()
        await self._egress.stop()
        await self.supervisor.stop()
        await self._control.stop()
        await self._serials.flush()
        self._release_locks()
        self._listener.close()

    def _release_locks(self) -> None:
        """Release the locks, so that another process can use the folder and the marks file."""
        self._folder.release()
        self._serials.release()

    async def _send_route(self, served: ServedScript) -> None:
        """Tell workerd how to serve a script from now on.

        Raises:
            NightsafeError: UNAVAILABLE, when workerd had to be killed because it did not take the change.
        """
        script = served.bundle.script
        if self.supervisor.holds.forget_outdated(script, served.code_digest):
            self.supervisor.changed.set()
            await self.supervisor.send_fleet()
        await self.supervisor.send_route(script, msgspec.json.encode(served.route()))
        if self._failed_loads:  # the new route may have replaced one of them
            self.supervisor.changed.set()

    async def _answer(self, request: Request, pid: int) -> Answer:
        """Answer a request of a workerd process with this process id."""
        _, resource, *rest = request.path.split("/")
        name = rest[0] if rest else ""
        match request.method, resource:
            case "GET", "settings":
                return 200, msgspec.json.encode(self._settings_for(pid))
            case "GET", "routes":
                self.supervisor.note_route_request(pid, name)
                return await self._route(name)
            case "GET", "loads" if name.isdigit():
                return await self._load(int(name))
            case "POST", _:
                return self._handle_message(resource, name, request.body), b""
        return 404, b""

    def _handle_message(self, resource: str, name: str, body: bytes) -> int:
        """Handle a message from workerd; return the HTTP status."""
        match resource:
            case "reports":
                self._reports.log_report(body)
            case "failures" if name.isdigit():
                self._report_failure(int(name), body)
            case "cells":
                self.supervisor.grow()
            case _:
                return 404
        return 200

    def _settings_for(self, pid: int) -> dict[str, object]:
        """Return the settings, and the facts about itself, that a workerd needs."""
        return {
            "account": self._settings.account_id,
            "domains": self._settings.domains,
            "trusted_proxies": [encode_network(network) for network in self._settings.trusted_proxies],
            "script_header": self._settings.script_header,
            "reporting": {
                "output": self._settings.worker_output,
                "traced": self._settings.worker_output or not self._settings.limits.cells,
            },
            "reach_private": self._settings.reach_private,
            "max_loaded": self._settings.max_loaded,
            "fleet": self.supervisor.fleet(),
            "started": int(self.supervisor.started_at(pid) * 1000),
        }

    async def _route(self, script: str) -> Answer:
        """Answer how to serve a script; 503 when this is not known yet and the source cannot be reached."""
        served = self._bundle_cache.get(script)
        if served is None and not self.follower.knows_all:
            with suppress(NightsafeError):
                await self.follower.fetch(script)
            served = self._bundle_cache.get(script)
        if served is None and not self.follower.knows(script):
            return 503, b""
        return 200, msgspec.json.encode(served.route() if served else {"unknown": True, "refusal": NOT_SERVED})

    async def _load(self, number: int) -> Answer:
        """Answer with a load and its opened values; 410 when a newer load has replaced it."""
        load = self._bundle_cache.load(number)
        if load is None:
            return _GONE, b""
        try:
            self._bundle_cache.check_approved(load.bundle)
            contents = await self._module_cache.contents_of(load.version)
            self._reports.remember_load(load)
            built = build_load(load.bundle, load.version, contents, self._opener)
        except NightsafeError as error:
            if error.code is Code.CANNOT_OPEN and await self._refetch(load):
                return _GONE, b""
            _log.error("script.not_loaded", script=load.bundle.script, reason=error.problems[0].detail)
            self._note_load(load, f"version {load.version.id} answers 500: {error.problems[0].detail}")
            return _CANNOT_OPEN, b""
        self._note_load(load)
        return 200, built

    def _note_load(self, load: Load, problem: str = "") -> None:
        """Remember that a load cannot be made, or that it can, and report the change."""
        before = self._failed_loads.pop(load.number, None)
        if problem:
            self._failed_loads[load.number] = ScriptProblem.of(load.bundle.script, (problem,))
        if before != self._failed_loads.get(load.number):
            self.supervisor.changed.set()

    def _unopened(self) -> Iterable[ScriptProblem]:
        """Return the problems of the loads that are current, and forget those that were replaced."""
        for number, problem in tuple(self._failed_loads.items()):
            if not self._bundle_cache.serves(problem.script, number):
                del self._failed_loads[number]
        return tuple(self._failed_loads.values())

    async def _refetch(self, load: Load) -> bool:
        """Fetch a script again because its values do not open.

        The values may have been resealed meanwhile, and the old key removed.

        Returns:
            Whether another load has replaced this one.
        """
        with suppress(NightsafeError):
            await self.follower.fetch(load.bundle.script)
        served = self._bundle_cache.get(load.bundle.script)
        return served is not None and load.number not in {current.number for current in served.loads}

    def _report_failure(self, number: int, reason: bytes) -> None:
        """Log that a script did not start. `dispatcher/reasons.js` keeps the script's exception out of the reason."""
        load = self._bundle_cache.load(number)
        if load is not None:
            script, version = load.bundle.script, load.version.id
            _log.error("script.not_started", script=script, version=version, reason=reason.decode("utf-8", "replace"))
