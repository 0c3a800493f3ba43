"""Killed processes: which others go on, which end with them, and what is served afterwards."""

import os
import signal
import threading
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from tests.clients.wire.talk import SCRIPTS, Wire
from tests.live.tools.running import HELLO, Deliver, Run, Workers, alive, events, put, secret, until, upload
from tests.server import Safe, Server, run


def test_workers_run_on_without_the_api(safe: Safe, tmp_path: Path) -> None:
    """Workers keep what they had; a change that delivery could not hear of is served once it can."""
    server = Server(safe)
    with TemporaryDirectory(prefix="ns-") as sockets, server:
        probes = Path(sockets) / "probes.sock"
        with Deliver(safe, server.base_url, tmp_path / "delivery", "--probes", str(probes)) as delivery:
            until(lambda: (200, {"status": "ok"}) == probed(probes))
            _check_workers_run_on(safe, server, delivery, probes)
        assert not probes.exists()


def probed(path: Path, target: str = "/readyz") -> tuple[int, dict[str, Any]]:
    """Return the status and the body of a probe on a socket."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
        answer = client.get(f"http://probes{target}")
    return answer.status_code, answer.json()


def _check_workers_run_on(safe: Safe, server: Server, delivery: Deliver, probes: Path) -> None:
    """Kill the API, write through another one and start it again; probes call delivery ready all the while."""
    port = server.port
    with Wire.to(server) as wire:
        upload(wire, "stays", HELLO, secret("TOKEN", "old"))
        upload(wire, "goes", HELLO, secret("TOKEN", "old"))
        assert ["old", "old"] == [delivery.workers.text(name) for name in ("stays", "goes")]
    server.kill()
    until(delivery.problems)
    status, told = probed(probes)
    assert (200, "ok") == (status, told["status"])
    assert told["behind"]
    assert "old" == delivery.workers.text("stays")
    with Server(safe) as elsewhere, Wire.to(elsewhere) as wire:
        put(wire, "stays", "TOKEN", "new")
        assert 200 == wire.ask("DELETE", f"{SCRIPTS}/goes").status
        assert "old" == delivery.workers.text("stays")
    server.start_at(port)
    until(lambda: delivery.workers.get("stays").text == "new")
    until(lambda: delivery.workers.get("goes").status_code == 404)
    with Wire.to(server) as wire:
        put(wire, "stays", "TOKEN", "newest")
    assert "newest" == delivery.workers.text("stays")
    assert (200, {"status": "ok"}) == probed(probes)
    assert 200 == probed(probes, "/livez")[0]


def test_workerd_ends_with_the_delivery(safe: Safe, tmp_path: Path) -> None:
    """Nothing answers any more, and after a restart only the current value is served."""
    with Server(safe) as server, Wire.to(server) as wire:
        upload(wire, "worker", HELLO, secret("TOKEN", "old"))
        delivery = Deliver(safe, server.base_url, tmp_path / "delivery")
        with delivery:
            assert "old" == delivery.workers.text("worker")
            runtime, port = delivery.child("workerd"), delivery.workers.port
            delivery.kill()
            until(lambda: not alive(runtime))
            with pytest.raises(httpx.ConnectError):
                httpx.get(f"http://127.0.0.1:{port}/")
            put(wire, "worker", "TOKEN", "new")
            delivery.start()
            assert "new" == delivery.workers.text("worker")


def test_a_killed_workerd_is_restarted(own: Run) -> None:
    """Requests wait for the new process, and get the current value."""
    with Wire.to(own) as wire:
        upload(wire, "worker", HELLO, secret("TOKEN", "old"))
        assert "old" == own.workers.text("worker")
        runtime = own.child("workerd serve")
        os.kill(runtime, signal.SIGKILL)
        until(lambda: not alive(runtime))
        put(wire, "worker", "TOKEN", "new")

        assert "new" == own.workers.text("worker")
        assert runtime != own.child("workerd serve")


def test_run_restarts_its_api(own: Run) -> None:
    """The API has the same address and the same clients, who at most wait; scripts are served meanwhile."""
    with Wire.to(own) as wire:
        upload(wire, "worker", HELLO, secret("TOKEN", "old"))
    runtime, url = own.child("workerd serve"), own.base_url
    served: list[str] = []
    over = threading.Event()
    asking = threading.Thread(target=lambda: _request_until(over, own, served))
    asking.start()
    try:
        until(partial(served.count, "old"))
        for value in ("new", "newest"):
            api = own.child("api_child")
            os.kill(api, signal.SIGKILL)
            until(partial(_is_gone, api))
            with Wire.to(own) as wire:
                put(wire, "worker", "TOKEN", value)
            assert value == own.workers.text("worker")
            until(partial(served.count, value))
            assert api != own.child("api_child")
    finally:
        over.set()
        asking.join()

    assert (runtime, url) == (own.child("workerd serve"), own.base_url)
    assert {"old", "new", "newest"} == set(served)
    assert 2 == len(events(own, "api.ended"))
    assert "signal 9" == events(own, "api.ended")[0]["reason"]


def _is_gone(pid: int) -> bool:
    """Return whether a process has ended."""
    return not alive(pid)


def _has_ended(running: Run, times: int) -> bool:
    """Return whether the API's process has ended this many times."""
    return len(events(running, "api.ended")) >= times


def _request_until(over: threading.Event, running: Run, served: list[str]) -> None:
    """Request the script on separate connections until told to stop; record the answers."""
    workers = Workers(running.workers.port)
    with workers.client:
        while not over.is_set():
            served.append(workers.text("worker"))


@pytest.mark.thorough
def test_run_gives_up_an_api_that_keeps_ending(safe: Safe) -> None:
    """The log has the reason, and the run ends with 1."""
    with closing(Run(safe)) as running:
        running.start()
        runtime = running.child("workerd serve")
        killed: set[int] = set()
        while not events(running, "delivery.ended"):
            for api in running.all_children("api_child") - killed:
                os.kill(api, signal.SIGKILL)
                killed.add(api)
        assert 1 == running.wait()

    assert not alive(runtime)
    said = (
        "the API is not restarted any more: it ended 6 times in a row, each time within 20 s of its start, "
        "the last time with signal 9"
    )
    assert said == events(running, "delivery.ended")[0]["reason"]
    assert f"nightsafe: {said}\n" in running.stderr.read_text()


def test_run_stops_at_once_while_its_api_is_away(safe: Safe) -> None:
    """The run ends with 0, at once."""
    with closing(Run(safe)) as running:
        running.start()
        for _ in range(4):  # after these the pause before the next try is long
            seen = len(events(running, "api.ended"))
            os.kill(until(lambda: min(running.all_children("api_child"), default=0)), signal.SIGKILL)
            until(partial(_has_ended, running, seen + 1))
        running.terminate()
        assert 0 == running.wait()

    assert 4 == len(events(running, "api.ended"))


def test_run_ends_as_a_whole(safe: Safe) -> None:
    """When it is killed, its other processes end, and it starts again with the data that it had."""
    running = Run(safe)
    with running, Wire.to(running) as wire:
        upload(wire, "worker", HELLO, secret("TOKEN", "kept"))
        api, runtime = running.child("api_child"), running.child("workerd serve")
        running.kill()
        until(lambda: not alive(api))
        until(lambda: not alive(runtime))

        running.start()
        assert "kept" == running.workers.text("worker")


def test_a_stop_finishes_requests_under_way(own: Run) -> None:
    """A request under way is answered in full, the exit code is 0, and this run's token is gone."""
    slow = b"""export default { fetch(request, env, ctx) {
      const { readable, writable } = new TransformStream();
      const writer = writable.getWriter();
      const say = (words) => writer.write(new TextEncoder().encode(words));
      ctx.waitUntil((async () => {
        await say("begun "); await scheduler.wait(1000); await say(env.TOKEN); await writer.close();
      })());
      return new Response(readable);
    } };"""
    with Wire.to(own) as wire:
        upload(wire, "slow", slow, secret("TOKEN", "finished"))
    with own.workers.client.stream("GET", "/", headers={"host": f"slow.localhost:{own.workers.port}"}) as answer:
        parts = answer.iter_text()
        words = next(parts)
        own.terminate()
        words += "".join(parts)
    assert 0 == own.wait()

    assert "begun finished" == words
    listed = run("token", "list", "--data", str(own.safe.path), cwd=own.safe.path.parent)
    assert "nightsafe run" not in listed.stdout
