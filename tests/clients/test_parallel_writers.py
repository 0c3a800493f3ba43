"""Parallel writes of every kind to one script."""

import itertools
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.clients.stored_values import opened
from tests.clients.wire.talk import SCRIPTS, Answer, Wire, send_form, text
from tests.server import ACCOUNT, Server

ROUNDS = 24
CONNECTIONS_OF_A_KIND = 4
NAMESPACES = f"/client/v4/accounts/{ACCOUNT}/workers/dispatch/namespaces"
WORKERS = f"/client/v4/accounts/{ACCOUNT}/workers/workers"
SECRET_SETTING = ("put", "bulk", "upload", "version", "latest")
"""The kinds of write that set a secret; together they stay below the limit of a script's bindings."""

REFUSED_BY_STATE = {"put": 10215, "bulk": 10215, "settings": 10214, "deploy": 10220}
"""The code that refuses each kind while the newest version is not fully deployed or secrets have changed."""

Write = Callable[[Wire, int], Answer]
Writes = list[tuple[str, int]]


def name_of(kind: str, number: int) -> str:
    """Return the name, and value, of the secret that one write sets."""
    return f"{kind}_{number}"


def secret_of(kind: str, number: int) -> dict[str, str]:
    """Return the secret that one write sets."""
    return {"name": name_of(kind, number), **text(name_of(kind, number))}


def uploaded(*bindings: object) -> dict[str, Any]:
    """Return the metadata of an upload."""
    return {"main_module": "worker.js", "bindings": bindings}


def writers(at: str) -> dict[str, Write]:
    """Return the ways to write to a script at a path."""

    def put(wire: Wire, number: int) -> Answer:
        """Put a secret."""
        return wire.send("PUT", f"{at}/secrets", secret_of("put", number))

    def bulk(wire: Wire, number: int) -> Answer:
        """Set a secret with a bulk patch."""
        secret = secret_of("bulk", number)
        return wire.send("PATCH", f"{at}/secrets-bulk", {"secrets": {secret["name"]: secret}})

    def upload(wire: Wire, number: int) -> Answer:
        """Upload code with a secret and keep the others."""
        return send_form(wire, "PUT", at, "metadata", uploaded(secret_of("upload", number)))

    def content(wire: Wire, _: int) -> Answer:
        """Upload code only."""
        return send_form(wire, "PUT", f"{at}/content", "metadata", {"main_module": "worker.js"})

    def settings(wire: Wire, number: int) -> Answer:
        """Change a setting of the version."""
        date = {"compatibility_date": f"2026-01-{number + 1:02}"}
        return send_form(wire, "PATCH", f"{at}/settings", "settings", date)

    def own_settings(wire: Wire, number: int) -> Answer:
        """Change a setting of the script."""
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
    """Return the ways to write that scripts in dispatch namespaces do not have."""

    def version(wire: Wire, number: int) -> Answer:
        """Create a version without deploying it."""
        return send_form(wire, "POST", f"{at}/versions", "metadata", uploaded(secret_of("version", number)))

    def latest(wire: Wire, number: int) -> Answer:
        """Create a version with a patch of the newest one."""
        name = name_of("latest", number)
        return wire.send("PATCH", f"{worker}/versions/latest", {"env": {name: text(name)}})

    def deploy(wire: Wire, number: int) -> Answer:
        """Deploy the newest version, or the two newest."""
        items = wire.ask("GET", f"{at}/versions?per_page=2").result["items"]
        shares = [100] if number % 4 or len(items) == 1 else [50, 50]
        return serve(wire, at, *((version["id"], share) for version, share in zip(items, shares, strict=False)))

    return {"version": version, "latest": latest, "deploy": deploy}


def serve(wire: Wire, at: str, *shares: tuple[str, int]) -> Answer:
    """Deploy versions with their percentages."""
    versions = [{"version_id": version_id, "percentage": share} for version_id, share in shares]
    return wire.send("POST", f"{at}/deployments", {"strategy": "percentage", "versions": versions})


def write_all(server: Server, ways: dict[str, Write]) -> tuple[Writes, set[tuple[str, int]]]:
    """Write in every way in parallel; return the successful writes, and the kinds and codes of the refused ones."""

    def write(kind: str, first: int) -> list[tuple[str, int, Answer]]:
        """Do one connection's share of one kind."""
        with Wire.to(server) as wire:
            numbers = range(first, ROUNDS, CONNECTIONS_OF_A_KIND)
            return [(kind, number, ways[kind](wire, number)) for number in numbers]

    jobs = list(itertools.product(ways, range(CONNECTIONS_OF_A_KIND)))
    with ThreadPoolExecutor(len(jobs)) as pool:
        ended = list(itertools.chain.from_iterable(pool.map(lambda job: write(*job), jobs)))
    assert {answer.status for _, _, answer in ended} <= {200, 400}
    refused = {(kind, code) for kind, _, answer in ended if answer.status == 400 for code in answer.refusal[1]}
    return [(kind, number) for kind, number, answer in ended if answer.status == 200], refused


def values_of(done: Writes) -> dict[str, str]:
    """Return the secrets that successful writes have set."""
    return {name_of(kind, number): name_of(kind, number) for kind, number in done if kind in SECRET_SETTING}


def every_version(wire: Wire, script: str) -> list[Any]:
    """Return all versions of a script, newest first."""
    found: list[Any] = []
    for page in itertools.count(1):
        items = wire.ask("GET", f"{SCRIPTS}/{script}/versions?per_page=100&page={page}").result["items"]
        if not items:
            return found
        found += items
    raise AssertionError


def test_parallel_writes_of_every_kind_are_all_stored(server: Server, wire: Wire, script: str) -> None:
    """Writes are refused only because of the script's state; every acknowledged write is stored, and no other.

    Versions have consecutive numbers, one for each write that makes one; later writes work normally.
    """
    at = f"{SCRIPTS}/{script}"
    done, refused = write_all(server, writers(at) | version_writers(at, f"{WORKERS}/{script}"))

    assert refused <= set(REFUSED_BY_STATE.items())
    assert values_of(done) == opened(server.safe, script)
    versions, made = every_version(wire, script), Counter(kind for kind, _ in done)
    assert {kind: ROUNDS for kind in made if kind not in REFUSED_BY_STATE} == {
        k: made[k] for k in made if k not in REFUSED_BY_STATE
    }
    assert [*range(len(versions), 0, -1)] == [version["number"] for version in versions]
    assert len(versions) == len({version["id"] for version in versions})
    least = 1 + made["content"] + sum(made[kind] for kind in SECRET_SETTING)
    assert least <= len(versions) <= least + made["settings"]
    assert serve(wire, at, (versions[0]["id"], 100)).status == 200
    assert wire.put(script, "after").status == 200


def test_parallel_writes_in_a_namespace_are_all_stored(server: Server, wire: Wire) -> None:
    """In a namespace an upload is deployed at once, so no write is refused."""
    at = f"{NAMESPACES}/parallel/scripts/user"
    assert wire.send("POST", NAMESPACES, {"name": "parallel"}).status == 200
    assert send_form(wire, "PUT", at, "metadata", uploaded()).status == 200

    done, refused = write_all(server, writers(at))

    assert set() == refused
    assert len(done) == ROUNDS * len(writers(at))
    assert values_of(done) == opened(server.safe, "user", "parallel")
    assert wire.ask("DELETE", at).status == 200
    assert wire.ask("DELETE", f"{NAMESPACES}/parallel").status == 200
