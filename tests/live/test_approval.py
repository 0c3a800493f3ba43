"""Two people: one deploys, the other approves. The real runtime serves nothing else."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.clients.cli.keys.test_keys import done
from tests.clients.wire.talk import SCRIPTS, Wire
from tests.live.tools.running import HELLO, Run, put, secret, surroundings, until, upload
from tests.server import Safe, Server, run

SECOND = b"export default { fetch(request, env) { return new Response('second ' + env.TOKEN); } };"
THIEF = b"export default { fetch(request, env) { return new Response('stolen ' + env.TOKEN); } };"


def approver(folder: Path, name: str = "alice") -> tuple[Path, str]:
    """Create an approver's key; return its file and its public half."""
    file = folder / f"{name}.json"
    done = run("approver", "create", str(file), "--json", cwd=folder)
    assert 0 == done.returncode, done.stderr
    return file, json.loads(done.stdout)["public"]


def approvers_file(folder: Path, **keys: str) -> Path:
    """Write an approvers file in which each key may approve every script."""
    rules = [{"glob": "free-*", "covers": "nothing"}, {"glob": "*", "keys": list(keys)}]
    path = folder / "approvers.json"
    path.write_text(json.dumps({"format": "nightsafe-approvers/1", "keys": keys, "scripts": rules}))
    path.chmod(0o644)
    return path


def nightsafe(server: Server, *arguments: str) -> Any:
    """Run a command as the approver; return its JSON."""
    environ = {"CLOUDFLARE_BASE_URL": server.base_url, "CLOUDFLARE_API_TOKEN": server.safe.api_token}
    done = run(*arguments, "--json", cwd=server.safe.path.parent, environ=environ)
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


def test_only_approved_versions_are_served(safe: Safe, tmp_path: Path) -> None:
    """A new version waits, and the last approved one is served, until an approver signs; a secret needs no second."""
    key, public = approver(tmp_path)
    approvers = approvers_file(tmp_path, alice=public)
    with Run(safe, "--approvers", str(approvers)) as server, Wire.to(server) as wire:
        upload(wire, "worker", HELLO, secret("TOKEN", "one"))
        upload(wire, "free-one", HELLO, secret("TOKEN", "free"))
        assert 503 == server.workers.get("worker").status_code
        assert "free" == server.workers.text("free-one")

        nightsafe(server, "approve", "worker", "--yes", "--approver-key", str(key))
        until(lambda: server.workers.get("worker").text == "one")

        put(wire, "worker", "TOKEN", "two")
        until(lambda: server.workers.text("worker") == "two")

        upload(wire, "worker", SECOND, secret("TOKEN", "three"))
        (waiting,) = until(lambda: nightsafe(server, "status")["processes"][0]["waiting"])
        assert ["worker"] == [waiting["script"]]
        assert 1 == len(waiting["serving"])
        assert "two" == server.workers.text("worker")
        messages = wire.ask("GET", f"{SCRIPTS}/worker/deployments").envelope["messages"]
        assert "waiting for approval" in messages[0]["message"]

        environ = {"CLOUDFLARE_BASE_URL": server.base_url, "CLOUDFLARE_API_TOKEN": safe.api_token}
        assert f"nightsafe approve worker {waiting['versions'][0]}" in messages[0]["message"]
        listed = run("deployment", "list", "--script", "worker", cwd=tmp_path, environ=environ)
        assert f"worker is waiting for approval of version {waiting['versions'][0]}" in listed.stderr
        assert "waiting for approval" in run("status", cwd=tmp_path, environ=environ).stdout

        changes = nightsafe(server, "approve", "worker", "--yes", "--approver-key", str(key))["changes"]
        assert [("changed", "module", "worker.js"), ("changed", "value", "TOKEN")] == [
            (change["change"], change["part"], change["name"]) for change in changes
        ]
        until(lambda: server.workers.get("worker").text == "second three")
        until(lambda: not nightsafe(server, "status")["processes"][0]["waiting"])


def test_a_restart_and_a_new_approvers_file(safe: Safe, tmp_path: Path) -> None:
    """A restarted process finds the last approved version; a key that leaves the file takes its approvals along."""
    key, public = approver(tmp_path)
    other, other_public = approver(tmp_path, "bob")
    approvers = approvers_file(tmp_path, alice=public)
    options = ("--approvers", str(approvers))
    with Run(safe, *options) as server, Wire.to(server) as wire:
        upload(wire, "worker", HELLO, secret("TOKEN", "one"))
        nightsafe(server, "approve", "worker", "--yes", "--approver-key", str(key))
        until(lambda: server.workers.get("worker").text == "one")
        upload(wire, "worker", THIEF, secret("TOKEN", "one"))
        nightsafe(server, "approve", "worker", "--yes", "--approver-key", str(other))
        assert "one" == server.workers.text("worker")

    with Run(safe, *options) as server:
        assert "one" == until(lambda: server.workers.get("worker").text)

        approvers_file(tmp_path, carol=other_public)
        os.kill(server.pid, signal.SIGHUP)
        until(lambda: server.workers.get("worker").text == "stolen one")

        approvers_file(tmp_path, carol=approver(tmp_path, "carol")[1])
        os.kill(server.pid, signal.SIGHUP)
        until(lambda: server.workers.get("worker").status_code == 503)


@pytest.mark.parametrize("command", ["run", "deliver"])
def test_a_bad_approvers_file_is_refused_before_anything_listens(safe: Safe, tmp_path: Path, command: str) -> None:
    """A file that cannot be used, or is an approver's private key, is refused before an address is printed."""
    keys = safe.path / "keys" / "verify-keys.json"
    files = ("--private-ring", str(safe.private_ring), "--verify-keys", str(keys), "--token-fd", "0")
    options = ("--data", str(safe.path), "--port", "0") if command == "run" else files
    private, _ = approver(tmp_path)
    for file, reason in ((private, "has a private key"), (approvers_file(tmp_path, a="AA"), "the key 'a' is not")):
        done = run(
            command,
            *options,
            "--listen",
            "127.0.0.1:0",
            "--approvers",
            str(file),
            cwd=tmp_path,
            environ=surroundings(),
        )

        assert (1, "") == (done.returncode, done.stdout)
        assert done.stderr.startswith(f"nightsafe: {file}: {reason}")


def test_a_script_without_a_rule_is_a_problem_in_status(safe: Safe, tmp_path: Path) -> None:
    """A script that no rule matches does not wait for an approval: `status` says that a rule is missing."""
    _, public = approver(tmp_path)
    path = approvers_file(tmp_path, alice=public)
    path.write_text(path.read_text().replace('"*"', '"other"'))
    with Run(safe, "--approvers", str(path)) as server, Wire.to(server) as wire:
        upload(wire, "worker", HELLO, secret("TOKEN", "one"))
        [problem] = until(lambda: nightsafe(server, "status")["processes"][0]["problems"])
        assert "worker" == problem["script"]
        assert "no rule of" in problem["reason"]
        assert [] == nightsafe(server, "status")["processes"][0]["waiting"]


def test_resealed_values_wait_for_an_approval(safe: Safe, tmp_path: Path) -> None:
    """After a rotation, `status` names a script whose approval covers values; it is served until a restart."""
    key, public = approver(tmp_path)
    path = approvers_file(tmp_path, alice=public)
    path.write_text(path.read_text().replace('["alice"]', '["alice"], "covers": "values"'))
    with Run(safe, "--approvers", str(path)) as server, Wire.to(server) as wire:
        upload(wire, "worker", HELLO, secret("TOKEN", "one"))
        nightsafe(server, "approve", "worker", "--yes", "--approver-key", str(key))
        until(lambda: server.workers.get("worker").text == "one")
        done(safe, "rotate")
        [waiting] = until(lambda: nightsafe(server, "status")["processes"][0]["waiting"])
        assert "worker" == waiting["script"]
        assert "one" == server.workers.text("worker")
        approved = nightsafe(server, "approve", "worker", "--yes", "--approver-key", str(key))
        assert [("changed", "value", "(any)")] == [
            (change["change"], change["part"], change["name"]) for change in approved["changes"]
        ]
        until(lambda: not nightsafe(server, "status")["processes"][0]["waiting"])
