"""Secrets that are put after a pause, through the API to a Worker: no kept connection causes a lost request."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.clients.wire.talk import Wire
from tests.live.tools.running import Run, events, put, secret, upload
from tests.server import Safe, make_safe

from nightsafe.client import Nightsafe

SLOW = b"""export default { async fetch(request, env) {
  if (!request.url.endsWith("/slow")) return new Response(env.TOKEN);
  const { readable, writable } = new TransformStream();
  const writer = writable.getWriter();
  const say = (words) => writer.write(new TextEncoder().encode(words));
  say("begun ").then(() => scheduler.wait(Number(request.headers.get("milliseconds"))))
    .then(() => say(env.TOKEN)).then(() => writer.close());
  return new Response(readable);
} };"""
GAPS = (16, 65)  # the first outlasts kept connections of workerd and the API, the second two long polls


@pytest.mark.thorough
@pytest.mark.slow
def test_a_secret_after_a_pause_interrupts_nothing(tmp_path: Path) -> None:
    """After each pause the secret is put by Nightsafe's client and on the bare wire, each on its kept connection."""
    safes = []
    for gap in GAPS:
        own = tmp_path / str(gap)
        own.mkdir()
        safes.append((gap, make_safe(own)))
    with ThreadPoolExecutor(len(GAPS)) as threads:
        for done in as_completed([threads.submit(_put_twice, safe, gap) for gap, safe in safes]):
            done.result()


def _put_twice(safe: Safe, gap: int) -> None:
    """Put a secret twice, each time after `gap` quiet seconds, while a slow request runs."""
    with Run(safe) as running, Wire.to(running) as wire, _client(running) as client:
        upload(wire, "worker", SLOW, secret("TOKEN", "first"))
        runtime = running.child("workerd serve")
        for before, value in (("first", "second"), ("second", "third")):
            with _slow(running, gap + 3) as words:
                assert "begun " == next(words)
                assert before == running.workers.text("worker")
                time.sleep(gap)
                if value == "second":
                    client.workers.scripts.secrets.update(
                        "worker", account_id=safe.account_id, name="TOKEN", text=value, type="secret_text"
                    )
                else:
                    put(wire, "worker", "TOKEN", value)
                assert value == running.workers.text("worker")
                assert before == "".join(words)
        assert runtime == running.child("workerd serve")
        assert [] == events(running, "delivery.problem")


def _client(running: Run) -> Nightsafe:
    """Return the owner's Nightsafe client, which repeats no request."""
    return Nightsafe(api_token=running.safe.api_token, base_url=running.base_url, max_retries=0)


@contextmanager
def _slow(running: Run, seconds: int) -> Iterator[Iterator[str]]:
    """Send a request that is answered over this many seconds; yield the parts of its body."""
    headers = {"host": f"worker.localhost:{running.workers.port}", "milliseconds": str(seconds * 1000)}
    with running.workers.client.stream("GET", "/slow", headers=headers, timeout=seconds + 60) as answer:
        yield answer.iter_text()
