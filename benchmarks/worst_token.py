"""Measures the cost of the largest accepted token: on each GET, and when it creates another token like itself.

Run as `python -m benchmarks.worst_token REPEATS`; it makes a safe of its own. Prints a list of figures for each name:
the CPU time of the process. The requests go directly to the application, in the form in which the HTTP server passes
them on.
"""

import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop
from benchmarks.settings import ACCOUNT_ID

from nightsafe.api.app import App
from nightsafe.identity.permissions import ALL_ACCESS
from nightsafe.identity.policy import (
    ACCOUNT_RESOURCE,
    MAX_CHARACTERS,
    MAX_PATTERN_CHARACTERS,
    MAX_PATTERNS,
    MAX_POLICIES,
    MAX_RESOURCES,
    Policy,
    allow_policy,
    exceeded_limit,
)
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.sealer import SigningSealer
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.services.identity.administration import create_account, issue_token
from nightsafe.services.limits import Limits
from nightsafe.services.secrets.seal import Safe
from nightsafe.store.sqlite import SqliteStore

LONG, USUAL = 255, 24
"""Lengths of a script's name: the longest possible one, and a usual one."""

_ACCOUNT = ACCOUNT_RESOURCE + ACCOUNT_ID
_TOKENS_WRITE = "5bc3f8b21c554832afc660159ab75fa4"
_TOKENS = f"/client/v4/accounts/{ACCOUNT_ID}/tokens"
_READS = 500
_CREATES = 10


def worst_policies() -> list[Policy]:
    """Return policies with as many resources as allowed: nested prefixes, slow patterns, and names."""
    size = MAX_PATTERN_CHARACTERS // MAX_PATTERNS
    globs = [f"*{number:b}a?".ljust(size - 1, "?") + "*" for number in range(MAX_PATTERNS)]
    number_of_names = MAX_RESOURCES - MAX_PATTERNS - 1
    beginnings, room = [], MAX_CHARACTERS - sum(map(len, globs)) - 4 * number_of_names
    for length in itertools.count(1):
        if (room := room - length - 1 + 4) < 0 or length > LONG:
            break
        beginnings.append("a" * length + "*")
    globs += beginnings
    globs += [f"{number:x}" for number in range(number_of_names - len(beginnings))]
    size = -(-len(globs) // (MAX_POLICIES - 1))
    policies = [allow_policy(_ACCOUNT, _TOKENS_WRITE)]
    policies += [
        allow_policy(_ACCOUNT, ALL_ACCESS, scripts=globs[at : at + size]) for at in range(0, len(globs), size)
    ]
    if exceeded_limit(policies):
        raise ValueError(exceeded_limit(policies))
    return policies


class Asked:
    """Measures the cost of two tokens on an application."""

    def __init__(self, app: App, plain: str, worst: str) -> None:
        self._app = app
        self.plain, self.worst = plain, worst

    async def request(self, token: str, method: str, path: str, body: bytes = b"") -> int:
        """Send one request, and return its status."""
        sent: list[dict[str, Any]] = []
        messages = [{"type": "http.request", "body": body}]

        async def receive() -> dict[str, Any]:
            """Return the body."""
            return messages.pop() if messages else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            """Keep the message."""
            sent.append(message)

        headers = [(b"authorization", f"Bearer {token}".encode()), (b"content-type", b"application/json")]
        headers += [(b"content-length", b"%d" % len(body))] if body else []
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": headers,
            "client": ("192.0.2.7", 1),
        }
        await self._app(scope, receive, send)
        status: int = sent[0]["status"]
        return status

    async def more(self, path_of: Callable[[int], str], repeats: int) -> list[float]:
        """Return the additional microseconds of a GET with the worst token, compared with a plain token."""
        numbers, more = itertools.count(), []
        for _ in range(repeats + 1):
            costs = []
            for token in (self.plain, self.worst):
                began = time.process_time()
                for _ in range(_READS):
                    await self.request(token, "GET", path_of(next(numbers)))
                costs.append((time.process_time() - began) / _READS * 1e6)
            more.append(costs[1] - costs[0])
        return more[1:]

    async def creates(self, repeats: int) -> list[float]:
        """Return the milliseconds to create another token with all policies of the worst one."""
        policies = [
            {
                "effect": policy.effect,
                "permission_groups": [{"id": group.id} for group in policy.permission_groups],
                "resources": policy.resources,
            }
            for policy in worst_policies()
        ]
        body = json.dumps({"name": "again", "policies": policies}).encode()
        taken = []
        for _ in range(repeats):
            began = time.process_time()
            for _ in range(_CREATES):
                if await self.request(self.worst, "POST", _TOKENS, body) != 200:
                    raise RuntimeError("the worst token was refused")
            taken.append((time.process_time() - began) / _CREATES * 1e3)
        return taken


def path_of(script: str) -> str:
    """Return the path of a script's secret."""
    return f"/client/v4/accounts/{ACCOUNT_ID}/workers/scripts/{script}/secrets/KEY"


async def measure(folder: Path, repeats: int) -> dict[str, list[float]]:
    """Measure every figure."""
    ring, key = PrivateRing.generate(), SigningKey.generate()
    store = SqliteStore.open(folder / "store.db", IdentityKey.generate(), create=True, signer=key)
    try:
        safe = Safe(SigningSealer(ring.public(), key), VerifyKeys([key.verify_key]))
        made = await create_account(store, ACCOUNT_ID, "an account", "owner@example.com")
        user = (await store.members(ACCOUNT_ID))[0].user_id
        worst = await issue_token(store, ACCOUNT_ID, user, "worst", policies=worst_policies(), owner="account")
        asked = Asked(App(store, safe, Limits()), made.api_token, worst.token)
        return {
            "GET, a known script": await asked.more(lambda _: path_of("a" * LONG), repeats),
            "GET, a new script of 24 characters": await asked.more(
                lambda number: path_of(f"{number:08}".rjust(USUAL, "a")), repeats
            ),
            "GET, a new script of 255 characters": await asked.more(
                lambda number: path_of(f"{number:08}".rjust(LONG, "a")), repeats
            ),
            "create a token like itself": await asked.creates(repeats),
        }
    finally:
        await store.close()


def main() -> None:
    """Measure, and print JSON."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "safe"
        folder.mkdir(mode=0o700)
        print(json.dumps(uvloop.run(measure(folder, int(sys.argv[1])))))


if __name__ == "__main__":
    main()
