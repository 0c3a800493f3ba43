"""Processes that are killed: what goes on, what ends with them, and what is served afterwards."""

import os
import signal
from pathlib import Path

import httpx
import pytest
from tests.clients.wire.talk import SCRIPTS, Wire
from tests.live.running import HELLO, Deliver, Run, alive, put, secret, until, upload
from tests.server import Safe, Server, run


def test_workers_run_on_without_the_api(safe: Safe, tmp_path: Path) -> None:
    """With what they had; what is written while delivery cannot hear of it is served once it can."""
    server = Server(safe)
    with server, Deliver(safe, server.base_url, tmp_path / "delivery") as delivery:
        port = server.port
        with Wire.to(server) as wire:
            upload(wire, "stays", HELLO, secret("TOKEN", "old"))
            upload(wire, "goes", HELLO, secret("TOKEN", "old"))
            assert ["old", "old"] == [delivery.workers.text(name) for name in ("stays", "goes")]
        server.kill()
        until(delivery.problems)
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


def test_delivery_takes_workerd_along(safe: Safe, tmp_path: Path) -> None:
    """Nothing answers any more, and after a restart only what is true then is served."""
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


def test_workerd_is_started_anew(own: Run) -> None:
    """While its requests wait, with the values of now."""
    with Wire.to(own) as wire:
        upload(wire, "worker", HELLO, secret("TOKEN", "old"))
        assert "old" == own.workers.text("worker")
        runtime = own.child("workerd serve")
        os.kill(runtime, signal.SIGKILL)
        until(lambda: not alive(runtime))
        put(wire, "worker", "TOKEN", "new")

        assert "new" == own.workers.text("worker")
        assert runtime != own.child("workerd serve")


def test_run_ends_as_a_whole(safe: Safe) -> None:
    """Whichever of its processes is killed, the others end, and it starts again with what there was."""
    running = Run(safe)
    with running, Wire.to(running) as wire:
        upload(wire, "worker", HELLO, secret("TOKEN", "kept"))
        api, runtime = running.child("api_child"), running.child("workerd serve")
        os.kill(api, signal.SIGKILL)
        assert 1 == running.wait()
        until(lambda: not alive(runtime))

        running.start()
        assert "kept" == running.workers.text("worker")
        api, runtime = running.child("api_child"), running.child("workerd serve")
        running.kill()
        until(lambda: not alive(api))
        until(lambda: not alive(runtime))

        running.start()
        assert "kept" == running.workers.text("worker")


def test_a_stop_finishes_what_was_begun(own: Run) -> None:
    """A request under way is answered in full, the exit code is 0, and the token of this run is gone."""
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
