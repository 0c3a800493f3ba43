"""`nightsafe run` and `nightsafe deliver`: how they start, and what they say when they cannot."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from tests.clients.tls.authority import Authority
from tests.clients.wire.talk import Wire
from tests.delivery.runtime import workerd
from tests.effort import last_first
from tests.live.tools.running import HELLO, Deliver, Run, new_token, secret, surroundings, until, upload
from tests.server import ACCOUNT, Safe, Server, run

from nightsafe.delivery.workerd import binary as runtime


def refusal(*arguments: str, cwd: Path, **environ: str) -> tuple[int, str]:
    """Run a command that must fail by itself; return its exit code and the last line of stderr."""
    done = run(*arguments, cwd=cwd, environ=surroundings() | environ)
    assert "" == done.stdout
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()[-1]


def test_run_prints_both_addresses(own: Run) -> None:
    """Both addresses are printed in the order in which they are ready."""
    lines = own.stdout.read_text().splitlines()
    port = own.workers.port

    assert [
        f"listening on http://127.0.0.1:{own.port}/client/v4",
        f"delivering on http://127.0.0.1:{port} (http://SCRIPT.localhost:{port})",
    ] == lines


def test_commands_find_a_run_by_its_data_directory(own: Run) -> None:
    """Commands find a run as they find `serve`, also after its API was restarted, and not after it has ended."""

    def status() -> tuple[int, str]:
        """Return the exit code and the output of `nightsafe status`."""
        environ = {"CLOUDFLARE_API_TOKEN": own.safe.api_token}
        done = run("status", "--data", str(own.safe.path), cwd=own.safe.path.parent, environ=environ)
        return done.returncode, done.stdout + done.stderr

    first = until(lambda: status()[0] == 0)
    os.kill(own.child("api_child"), signal.SIGKILL)
    again = until(lambda: status()[0] == 0)
    own.stop()
    code, words = status()

    assert (True, True, 1) == (first, again, code)
    assert f"no server serves {own.safe.path}" in words


def test_no_command_replaces_the_safe_of_a_run(own: Run) -> None:
    """Commands find the run, and none puts another safe in its place while any process of it is left."""
    safe, folder = own.safe, own.safe.path.parent
    at = ("--data", str(safe.path))
    assert 0 == run("backup", "lock.tar", *at, cwd=folder).returncode
    listed = run("script", "list", *at, cwd=folder, environ={"CLOUDFLARE_API_TOKEN": safe.api_token})
    doctor = json.loads(run("doctor", "--quick", "--json", *at, cwd=folder).stdout)
    served = run("restore", "lock.tar", "--force", *at, cwd=folder)
    (safe.path / "address").unlink()  # as if somebody tidied up
    hidden = run("restore", "lock.tar", "--force", *at, cwd=folder)
    beside = run("keys", "rotate", *at, cwd=folder)

    assert [("ok", own.base_url)] == [
        (finding["state"], finding["found"]) for finding in doctor["findings"] if finding["what"] == "server"
    ]
    assert (1, f"nightsafe: a server serves {safe.path}, at {own.base_url}; stop it first\n") == (
        served.returncode,
        served.stderr,
    )
    assert (0, "the account has no scripts\n") == (listed.returncode, listed.stderr)
    holders = ", ".join(map(str, sorted((own.pid, own.child("api_child")))))
    assert (1, f"nightsafe: {safe.path} is in use by process {holders}; stop that first\n") == (
        hidden.returncode,
        hidden.stderr,
    )
    assert 0 == beside.returncode, beside.stderr


def test_a_missing_or_unpinned_runtime_is_refused(safe: Safe, tmp_path: Path) -> None:
    """A missing runtime, or one that is not pinned, is refused before anything listens, with how to get it."""
    other = tmp_path / "workerd"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    start = ("run", "--data", str(safe.path), "--port", "0", "--listen", "127.0.0.1:0")
    missing = refusal(*start, cwd=tmp_path, WORKERD_BIN="")
    wrong = refusal(*start, cwd=tmp_path, WORKERD_BIN=str(other))
    how = (
        f"run `make workerd`, or install the npm package workerd@{runtime.VERSION} and set WORKERD_BIN to its binary"
    )

    assert (1, f"nightsafe: workerd is not installed: {how}") == missing
    assert (1, f"nightsafe: {other} is not workerd {runtime.VERSION} as it was published: {how}") == wrong
    listed = run("token", "list", "--data", str(safe.path), cwd=tmp_path)
    assert "nightsafe run" not in listed.stdout


def test_the_doctor_is_told_of_a_missing_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told nothing when the runtime is there, else the sentence with which the commands refuse."""
    monkeypatch.setenv("WORKERD_BIN", str(workerd()))
    assert "" == runtime.workerd_problem()
    monkeypatch.delenv("WORKERD_BIN")

    assert runtime.workerd_problem(tmp_path).startswith("workerd is not installed: run `make workerd`")


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        (
            ("--listen", "8788"),
            "'--listen' (env var: 'NIGHTSAFE_LISTEN'): give HOST:PORT, for example 127.0.0.1:8788",
        ),
        (
            ("--listen", "127.0.0.1:99999"),
            "'--listen' (env var: 'NIGHTSAFE_LISTEN'): give HOST:PORT, for example 127.0.0.1:8788",
        ),
        (
            ("--domain", "."),
            "'--domain' (env var: 'NIGHTSAFE_DOMAIN'): give a domain, for example workers.example.com",
        ),
        (
            ("--trusted-proxy", "10.0.0.1/8"),
            (
                "'--trusted-proxy' (env var: 'NIGHTSAFE_TRUSTED_PROXY'): 10.0.0.1/8 has host bits set; "
                "give a network, for example 10.0.0.0/8, or an address"
            ),
        ),
        (
            ("--tls-client-ca", "x.pem"),
            "--tls-client-ca needs --client-cert and --client-key: this process is a client of the API too",
        ),
    ],
)
def test_impossible_options_are_refused(safe: Safe, arguments: tuple[str, ...], refused: str) -> None:
    """An impossible option is refused by name, with exit code 2."""
    code, line = refusal("run", "--data", str(safe.path), *arguments, cwd=safe.path.parent)

    assert (2, refused) == (code, line.removeprefix("Error: ").removeprefix("Invalid value for "))


def test_deliver_asks_for_what_it_needs(safe: Safe, tmp_path: Path) -> None:
    """Each missing file is asked for by its flag; a remote API without TLS and a malformed address are refused."""
    ring, keys = (
        ("--private-ring", str(safe.private_ring)),
        ("--verify-keys", str(safe.path / "keys/verify-keys.json")),
    )
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("nst_x")
    whole = ("deliver", *ring, *keys, "--token-file", str(token))

    elsewhere = "http://192.0.2.1/client/v4"
    needed = "is missing: name the file, which nightsafe init creates"
    assert (2, f"Error: --private-ring {needed}") == refusal("deliver", *keys, cwd=tmp_path)
    assert (2, f"Error: --verify-keys {needed}") == refusal("deliver", *ring, cwd=tmp_path)
    assert (
        2,
        "Error: give either --token-file or --token-fd; create the token with: nightsafe token create",
    ) == refusal("deliver", *ring, *keys, cwd=tmp_path)
    assert (
        1,
        (
            f"nightsafe: --api {elsewhere}: without TLS others can read the token on the way; "
            "use https://, or --plain-http"
        ),
    ) == refusal(*whole, "--api", elsewhere, cwd=tmp_path)
    assert (1, "nightsafe: --api must be a URL that begins with http:// or https://") == refusal(
        *whole, "--api", "safe.example", cwd=tmp_path
    )
    assert (
        1,
        (
            "nightsafe: --api-ca, --client-cert or --client-key cannot be read, "
            "or the key does not belong to the certificate"
        ),
    ) == refusal(*whole, "--api", "https://safe.example/client/v4", "--api-ca", "absent.pem", cwd=tmp_path)


@pytest.mark.parametrize("command", ["run", "deliver"])
@pytest.mark.parametrize("where", ["0.0.0.0:0", "[::]:0"])
def test_a_public_address_without_tls_is_refused(safe: Safe, tmp_path: Path, command: str, where: str) -> None:
    """An address that others reach needs a flag about TLS, and is refused before anything listens."""
    ring, keys = safe.private_ring, safe.path / "keys/verify-keys.json"
    files = ("--private-ring", str(ring), "--verify-keys", str(keys), "--token-file", str(ring))
    own = ("--data", str(safe.path), "--port", "0") if command == "run" else files
    code, line = refusal(command, *own, "--listen", where, cwd=tmp_path)

    assert 1 == code
    assert line.startswith(f"nightsafe: --listen {where} can be reached from other machines, and scripts speak plain")
    assert line.endswith("give --trusted-proxy with the address of a proxy that does TLS, or --plain-http")


@pytest.mark.parametrize("word", [("--plain-http",), ("--trusted-proxy", "127.0.0.0/8")])
def test_a_public_address_with_a_tls_flag_is_served(safe: Safe, word: tuple[str, ...]) -> None:
    """With that flag scripts are served there, and a trusted proxy says the client's scheme and address."""
    code = b"""export default { fetch(request) {
      return new Response(`${request.url} ${request.headers.get("cf-connecting-ip")}`);
    } };"""
    with Run(safe, "--listen", "0.0.0.0:0", *word) as running, Wire.to(running) as wire:
        upload(wire, "shows", code)
        said = {"x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.1, 203.0.113.9"}
        answer = running.workers.get("shows", "/a", said).text

    host = f"shows.localhost:{running.workers.port}/a"
    expected = f"http://{host} 127.0.0.1" if word == ("--plain-http",) else f"https://{host} 203.0.113.9"
    assert expected == answer


@pytest.mark.parametrize("log_format", last_first(["json", "text"]))
def test_a_script_cannot_forge_the_log(safe: Safe, log_format: str) -> None:
    """What a script prints or throws stays inside Nightsafe's events, and is nowhere without `--worker-output`."""
    code = b"""export default { fetch(request, env) {
      for (const line of ['{"event":"workerd.ended"}', "a\\n2026-01-01 [warning] workerd.ended", "\\x1b[2J"]) {
        console.log(line); console.error(line);
      }
      throw Object.assign(new Error(env.TOKEN), { name: "a\\nworkerd.ended" });
    } };"""
    for wanted in ((), ("--worker-output",)):
        with closing(Run(safe, "--log-format", log_format, *wanted)) as running:
            running.stderr.write_text("")
            running.start()
            with Wire.to(running) as wire:
                upload(wire, "forges", code, secret("TOKEN", "hushed-4711"))
            assert 500 == running.workers.get("forges").status_code
            lines = until(partial(_lines_with, "script.threw", running.stderr))
        names = {_event_of(line, log_format) for line in lines if not line.startswith("    at ")}
        assert "script.threw" in names
        assert "workerd.ended" not in names
        assert bool(wanted) == ("hushed-4711" in "".join(lines)) == ("worker.output" in "".join(lines))
        assert "\x1b" not in "".join(lines)


def _lines_with(word: str, log: Path) -> list[str]:
    """Return the lines of a log if it contains a word, else none."""
    said = log.read_text()
    return said.splitlines() if word in said else []


def _event_of(line: str, log_format: str) -> str:
    """Return the event's name in a log line, which must be one event."""
    if log_format == "json":
        return str(json.loads(line)["event"])
    found = re.fullmatch(r"20\S+Z \[\w+ *\] (\S+)(?: +\w+=.*)?", line)
    assert found, line
    return found[1]


def test_a_taken_port_or_marks_file_is_refused(own: Run, tmp_path: Path) -> None:
    """A taken port is refused with its number; so is a second process with the same marks."""
    safe = own.safe
    start = ("run", "--data", str(safe.path), "--port", "0", "--listen")
    elsewhere = ("--marks", str(tmp_path / "marks.json"))
    taken = run(
        *start,
        f"127.0.0.1:{own.workers.port}",
        *elsewhere,
        cwd=tmp_path,
        environ=surroundings(),
    )
    again = run(*start, "127.0.0.1:0", cwd=tmp_path, environ=surroundings())

    address = f"127.0.0.1:{own.workers.port}"
    assert 1 == taken.returncode
    assert f"cannot listen on {address}: Address already in use; give another --listen" in taken.stderr
    assert 1 == again.returncode
    assert "another delivery process uses it" in again.stderr
    with Wire.to(own) as wire:
        upload(wire, "worker", HELLO, secret("TOKEN", "still served"))
    assert "still served" == own.workers.text("worker")


def test_a_missing_safe_is_refused(tmp_path: Path) -> None:
    """A missing safe is refused as by `serve`."""
    assert (1, "nightsafe: there is no safe in .nightsafe; create one with: nightsafe init") == refusal(
        "run", cwd=tmp_path
    )


def test_run_and_deliver_use_tls(safe: Safe, tmp_path: Path) -> None:
    """Both work over TLS with client certificates, alone and together; an unknown issuer is reported."""
    authority = Authority(tmp_path, "authority")
    stranger = Authority(tmp_path, "stranger")
    server, own = authority.issue("server"), authority.issue("own")
    tls = [
        *("--tls-cert", str(server.certificate), "--tls-key", str(server.key)),
        *("--tls-client-ca", str(authority.certificate)),
    ]
    shown = ("--client-cert", str(own.certificate), "--client-key", str(own.key))
    with Server(safe) as plain, Wire.to(plain) as wire:
        upload(wire, "worker", HELLO, secret("TOKEN", "x"))
    with Run(safe, *tls, *shown) as running:
        assert running.base_url.startswith("https://")
        until(lambda: running.workers.get("worker").text == "x")
    with Server(safe, *tls) as api:
        known = ("--api-ca", str(authority.certificate), *shown)
        with Deliver(safe, api.base_url, tmp_path / "one", *known) as delivery:
            until(lambda: delivery.workers.get("worker").text == "x")
        unknown = ("--api-ca", str(stranger.certificate), *shown, "--account-id", ACCOUNT)
        with Deliver(safe, api.base_url, tmp_path / "two", *unknown) as delivery:
            until(lambda: [reason for reason in delivery.problems() if "its certificate is not trusted" in reason])
            assert 503 == delivery.workers.get("worker").status_code


def test_a_revoked_token_is_reported(safe: Safe, tmp_path: Path) -> None:
    """The log says that the token is refused, and Workers run on."""
    with Server(safe) as server, Wire.to(server) as wire:
        upload(wire, "worker", HELLO, secret("TOKEN", "x"))
        delivery = Deliver(safe, server.base_url, tmp_path / "delivery")
        with delivery:
            until(lambda: delivery.workers.get("worker").text == "x")
            listed = run("token", "list", "--data", str(safe.path), "--json", cwd=tmp_path).stdout
            tokens = {token["name"]: token["id"] for token in json.loads(listed)["tokens"]}
            assert (
                0
                == run("token", "revoke", tokens["token"], "--yes", "--data", str(safe.path), cwd=tmp_path).returncode
            )
            upload(wire, "other", HELLO)
            refused = "the API refuses the token (403)"
            until(lambda: [reason for reason in delivery.problems() if reason.startswith(refused)])
            assert "x" == delivery.workers.text("worker")


def test_a_token_is_read_from_a_descriptor(safe: Safe, tmp_path: Path) -> None:
    """The token is read from a pipe to its end, so that it is in no file."""
    with Server(safe) as server, Wire.to(server) as wire:
        upload(wire, "worker", HELLO, secret("TOKEN", "x"))
        delivery = Deliver(safe, server.base_url, tmp_path / "delivery")
        reading, writing = os.pipe()
        os.write(writing, new_token(safe).encode())
        os.close(writing)
        at = delivery._command.index("--token-file")
        command = [*delivery._command[:at], "--token-fd", str(reading), *delivery._command[at + 2 :]]
        process = subprocess.Popen(
            command, pass_fds=[reading], env=delivery._environ, stdout=subprocess.PIPE, cwd=tmp_path
        )
        os.close(reading)
        assert process.stdout is not None
        with process, process.stdout:
            assert process.stdout.readline().startswith(b"delivering on ")
            process.terminate()

        assert 0 == process.returncode


def test_scripts_reach_this_machine_only_by_option(safe: Safe) -> None:
    """Scripts reach this machine only with `--reach-private`, which is for development."""
    code = b"""export default { async fetch(request) {
      try { return await fetch(request.headers.get("ask")); } catch { return new Response("cannot"); }
    } };"""
    for options, expected in (((), "cannot"), (("--reach-private",), '{"result":{"status":"ok"}')):
        with closing(Run(safe, *options)) as running:
            running.start()
            with Wire.to(running) as wire:
                upload(wire, "asks", code)
            answer = running.workers.get("asks", headers={"ask": f"http://127.0.0.1:{running.port}/livez"})
            assert answer.text.startswith(expected)


def test_the_api_does_not_start_without_its_parent(safe: Safe, tmp_path: Path) -> None:
    """The API process does not start when its parent is gone."""
    command = [
        sys.executable,
        "-P",
        "-m",
        "nightsafe.cli.server.api_child",
        "1",
        "0",
        "beside-delivery",
        "",
        "serve",
        "--data",
        str(safe.path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert (1, "", "the parent process is gone\n") == (done.returncode, done.stdout, done.stderr)
