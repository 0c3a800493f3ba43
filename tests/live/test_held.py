"""A script that never ends, as its owner meets it: the log, the API and `nightsafe status` say what became of it."""

import json
from typing import Any

from tests.clients.wire.talk import SCRIPTS, Wire
from tests.live.tools.running import HELLO, Run, put, secret, until, upload
from tests.server import run

LOOP = b"export default { fetch() { while (true); } };"


def status(server: Run) -> dict[str, Any]:
    """What `nightsafe status` tells."""
    environ = {"CLOUDFLARE_BASE_URL": server.base_url, "CLOUDFLARE_API_TOKEN": server.safe.api_token}
    done = run("status", "--json", cwd=server.safe.path.parent, environ=environ)
    assert 0 == done.returncode, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def held(server: Run) -> list[str]:
    """The scripts that are held apart, as `nightsafe status` has them."""
    return [one["script"] for process in status(server)["processes"] for one in process["held"]]


def test_a_script_that_is_held_apart(own: Run) -> None:
    """It is said everywhere where somebody would look, and its next version ends it; others are served all along."""
    with Wire.to(own) as wire:
        upload(wire, "hello", HELLO, secret("TOKEN", "x"))
        upload(wire, "loop", LOOP, limits={"cpu_ms": 500})
        answer = own.workers.get("loop")
        assert 503 == answer.status_code
        assert int(answer.headers["retry-after"]) >= 1
        assert "it used 0.5 s of CPU time" in answer.text
        assert "x" == own.workers.text("hello")

        assert "held apart" in until(lambda: _said(own, wire))
        assert not wire.ask("GET", f"{SCRIPTS}/hello/settings").envelope["messages"]
        events = [json.loads(line) for line in own.stderr.read_text().splitlines() if line.startswith("{")]
        assert {"loop"} == {one["script"] for one in events if one["event"] == "script.held"}

        put(wire, "loop", "TOKEN", "a new version")
        until(lambda: not held(own))


def _said(server: Run, wire: Wire) -> str:
    """What the API says of the script while `nightsafe status` has it; nothing when it is let in again by then."""
    server.workers.get("loop")  # where it was let in meanwhile it is held apart for twice as long
    if held(server) != ["loop"]:
        return ""
    messages = wire.ask("GET", f"{SCRIPTS}/loop/settings").envelope["messages"]
    return str(messages[-1]["message"]) if messages else ""
