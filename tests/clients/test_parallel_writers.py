"""Many who write to one script at once, each in a way of their own."""

import itertools
import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.clients.opened import opened
from tests.clients.wire.talk import SCRIPTS, Answer, Wire, form, text
from tests.server import ACCOUNT, Server

ROUNDS = 24
CONNECTIONS_OF_A_KIND = 4
NAMESPACES = f"/client/v4/accounts/{ACCOUNT}/workers/dispatch/namespaces"
WORKERS = f"/client/v4/accounts/{ACCOUNT}/workers/workers"
SETTING = ("put", "bulk", "upload", "version", "latest")
"""Ways that set a secret: all of them together stay below what a script may hold."""

STATE = {"put": 10215, "bulk": 10215, "settings": 10214, "deploy": 10220}
"""With what each way is rightly refused while the newest version is not the only one served, or secrets changed."""

Write = Callable[[Wire, int], Answer]
Done = list[tuple[str, int]]


def send_form(wire: Wire, method: str, path: str, part: str, value: object) -> Answer:
    """Send a form with one JSON part and a module."""
    content_type, body = form({part: json.dumps(value).encode()})
    return wire.ask(method, path, body, [("Content-Type", content_type)])


def name_of(kind: str, number: int) -> str:
    """The name of the secret that one write sets, which is its value too."""
    return f"{kind}_{number}"


def secret_of(kind: str, number: int) -> dict[str, str]:
    """That secret."""
    return {"name": name_of(kind, number), **text(name_of(kind, number))}


def uploaded(*bindings: object) -> dict[str, Any]:
    """The metadata of an upload."""
    return {"main_module": "worker.js", "bindings": bindings}


def writers(at: str) -> dict[str, Write]:
    """The ways to write to a script at a path, wherever it is."""

    def put(wire: Wire, number: int) -> Answer:
        """A secret."""
        return wire.send("PUT", f"{at}/secrets", secret_of("put", number))

    def bulk(wire: Wire, number: int) -> Answer:
        """The same, by a patch."""
        secret = secret_of("bulk", number)
        return wire.send("PATCH", f"{at}/secrets-bulk", {"secrets": {secret["name"]: secret}})

    def upload(wire: Wire, number: int) -> Answer:
        """Code with a secret; those there are stay."""
        return send_form(wire, "PUT", at, "metadata", uploaded(secret_of("upload", number)))

    def content(wire: Wire, _: int) -> Answer:
        """Code alone."""
        return send_form(wire, "PUT", f"{at}/content", "metadata", {"main_module": "worker.js"})

    def settings(wire: Wire, number: int) -> Answer:
        """A setting of the version."""
        date = {"compatibility_date": f"2026-01-{number + 1:02}"}
        return send_form(wire, "PATCH", f"{at}/settings", "settings", date)

    def own_settings(wire: Wire, number: int) -> Answer:
        """A setting of the script."""
        return wire.send("PATCH", f"{at}/script-settings", {"tags": [f"t{number}"]})

    return {
        "put": put,
        "bulk": bulk,
        "upload": upload,
        "content": content,
        "settings": settings,
        "own_settings": own_settings,
    }


def version_writers(at: str, worker: str) -> dict[str, Write]:
    """The ways that a script has only outside of dispatch namespaces."""

    def version(wire: Wire, number: int) -> Answer:
        """A version that is not served."""
        return send_form(wire, "POST", f"{at}/versions", "metadata", uploaded(secret_of("version", number)))

    def latest(wire: Wire, number: int) -> Answer:
        """The same, by a patch of the newest one."""
        name = name_of("latest", number)
        return wire.send("PATCH", f"{worker}/versions/latest", {"env": {name: text(name)}})

    def deploy(wire: Wire, number: int) -> Answer:
        """Serve the newest version that is known, or the two newest."""
        items = wire.ask("GET", f"{at}/versions?per_page=2").result["items"]
        shares = [100] if number % 4 or len(items) == 1 else [50, 50]
        return serve(wire, at, *((one["id"], share) for one, share in zip(items, shares, strict=False)))

    return {"version": version, "latest": latest, "deploy": deploy}


def serve(wire: Wire, at: str, *shares: tuple[str, int]) -> Answer:
    """Serve versions."""
    versions = [{"version_id": version_id, "percentage": share} for version_id, share in shares]
    return wire.send("POST", f"{at}/deployments", {"strategy": "percentage", "versions": versions})


def write_all(server: Server, ways: dict[str, Write]) -> tuple[Done, set[tuple[str, int]]]:
    """Write in every way at once, many times; gives what was done, and the codes with which ways were refused."""

    def write(kind: str, first: int) -> list[tuple[str, int, Answer]]:
        """One connection's share of one way."""
        with Wire.to(server) as wire:
            numbers = range(first, ROUNDS, CONNECTIONS_OF_A_KIND)
            return [(kind, number, ways[kind](wire, number)) for number in numbers]

    jobs = list(itertools.product(ways, range(CONNECTIONS_OF_A_KIND)))
    with ThreadPoolExecutor(len(jobs)) as pool:
        ended = list(itertools.chain.from_iterable(pool.map(lambda job: write(*job), jobs)))
    assert {answer.status for _, _, answer in ended} <= {200, 400}
    refused = {(kind, code) for kind, _, one in ended if one.status == 400 for code in one.refusal[1]}
    return [(kind, number) for kind, number, answer in ended if answer.status == 200], refused


def values_of(done: Done) -> dict[str, str]:
    """The secrets that writes have set."""
    return {name_of(kind, number): name_of(kind, number) for kind, number in done if kind in SETTING}


def every_version(wire: Wire, script: str) -> list[Any]:
    """The versions of a script, newest first."""
    found: list[Any] = []
    for page in itertools.count(1):
        items = wire.ask("GET", f"{SCRIPTS}/{script}/versions?per_page=100&page={page}").result["items"]
        if not items:
            return found
        found += items
    raise AssertionError


def test_every_way_at_once(server: Server, wire: Wire, script: str) -> None:
    """None is refused for another's sake, only for the state; what was acknowledged is there, and nothing else.

    Versions have consecutive numbers, one for each write that makes one; then all goes on as ever.
    """
    at = f"{SCRIPTS}/{script}"
    done, refused = write_all(server, writers(at) | version_writers(at, f"{WORKERS}/{script}"))

    assert refused <= set(STATE.items())
    assert values_of(done) == opened(server.safe, script)
    versions, made = every_version(wire, script), Counter(kind for kind, _ in done)
    assert {kind: ROUNDS for kind in made if kind not in STATE} == {k: made[k] for k in made if k not in STATE}
    assert [*range(len(versions), 0, -1)] == [one["number"] for one in versions]
    assert len(versions) == len({one["id"] for one in versions})
    least = 1 + made["content"] + sum(made[kind] for kind in SETTING)
    assert least <= len(versions) <= least + made["settings"]
    assert serve(wire, at, (versions[0]["id"], 100)).status == 200
    assert wire.put(script, "after").status == 200


def test_every_way_at_once_in_a_namespace(server: Server, wire: Wire) -> None:
    """There, what is uploaded is what is served: nothing is refused at all."""
    at = f"{NAMESPACES}/parallel/scripts/user"
    assert wire.send("POST", NAMESPACES, {"name": "parallel"}).status == 200
    assert send_form(wire, "PUT", at, "metadata", uploaded()).status == 200

    done, refused = write_all(server, writers(at))

    assert set() == refused
    assert len(done) == ROUNDS * len(writers(at))
    assert values_of(done) == opened(server.safe, "user", "parallel")
    assert wire.ask("DELETE", at).status == 200
    assert wire.ask("DELETE", f"{NAMESPACES}/parallel").status == 200
