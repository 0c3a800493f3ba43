"""A script that never ends, as its owner sees it in the log, in the API and in `nightsafe status`."""

import json
from typing import Any

from tests.clients.wire.talk import SCRIPTS, Wire
from tests.live.tools.running import HELLO, Run, put, secret, until, upload
from tests.server import run

LOOP = b"export default { fetch() { while (true); } };"


def status(server: Run) -> dict[str, Any]:
    """Return the output of `nightsafe status`."""
    environ = {"CLOUDFLARE_BASE_URL": server.base_url, "CLOUDFLARE_API_TOKEN": server.safe.api_token}
    done = run("status", "--json", cwd=server.safe.path.parent, environ=environ)
    assert 0 == done.returncode, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def held(server: Run) -> list[str]:
    """Return the scripts that `nightsafe status` shows as held apart."""
    return [hold["script"] for process in status(server)["processes"] for hold in process["held"]]


def test_a_held_script_is_reported_until_its_next_version(own: Run) -> None:
    """Answer, API, log and status report the hold until the next version; others are served meanwhile."""
    with Wire.to(own) as wire:
        upload(wire, "hello", HELLO, secret("TOKEN", "x"))
        upload(wire, "loop", LOOP, limits={"cpu_ms": 500})
        answer = own.workers.get("loop")
        assert 503 == answer.status_code
        assert int(answer.headers["retry-after"]) >= 1
        assert "it used 0.5 s of CPU time" in answer.text
        assert "x" == own.workers.text("hello")

        assert "held apart" in until(lambda: _message(own, wire))
        assert not wire.ask("GET", f"{SCRIPTS}/hello/settings").envelope["messages"]
        events = [json.loads(line) for line in own.stderr.read_text().splitlines() if line.startswith("{")]
        assert {"loop"} == {event["script"] for event in events if event["event"] == "script.held"}

        put(wire, "loop", "TOKEN", "a new version")
        until(lambda: not held(own))


def _message(server: Run, wire: Wire) -> str:
    """Return the API's message while `nightsafe status` shows the hold; nothing once the script is let in again."""
    server.workers.get("loop")  # if it was let in meanwhile, it is now held for twice as long
    if held(server) != ["loop"]:
        return ""
    messages = wire.ask("GET", f"{SCRIPTS}/loop/settings").envelope["messages"]
    return str(messages[-1]["message"]) if messages else ""
