"""`nightsafe run` and `nightsafe deliver`: how they start, and what they say when they cannot."""

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.clients.tls.authority import Authority
from tests.clients.wire.talk import Wire
from tests.delivery.scene import workerd
from tests.live.running import HELLO, Deliver, Run, new_token, secret, surroundings, until, upload
from tests.server import ACCOUNT, Safe, Server, run

from nightsafe.cli import api_child
from nightsafe.delivery import workerd as runtime


def refusal(*arguments: str, cwd: Path, **environ: str) -> tuple[int, str]:
    """The exit code and the last line of what a command says on stderr; it must end by itself."""
    done = run(*arguments, cwd=cwd, environ=surroundings() | environ)
    assert "" == done.stdout
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()[-1]


def test_what_run_prints(own: Run) -> None:
    """Both addresses, in the order in which they are ready."""
    lines = own.stdout.read_text().splitlines()
    port = own.workers.port

    assert [
        f"listening on http://127.0.0.1:{own.port}/client/v4",
        f"delivering on http://127.0.0.1:{port} (http://SCRIPT.localhost:{port})",
    ] == lines


def test_a_runtime_that_is_missing(safe: Safe, tmp_path: Path) -> None:
    """Or another one than was pinned is refused before anything listens, with how to get it."""
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


def test_what_the_doctor_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing when the runtime is there, else the sentence that the commands refuse with."""
    monkeypatch.setenv("WORKERD_BIN", str(workerd()))
    assert "" == runtime.missing()
    monkeypatch.delenv("WORKERD_BIN")

    assert runtime.missing(tmp_path).startswith("workerd is not installed: run `make workerd`")


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        (
            ("--listen", "8788"),
            "'--listen' (env var: 'NIGHTSAFE_LISTEN'): give HOST:PORT, as 127.0.0.1:8788",
        ),
        (
            ("--listen", "127.0.0.1:99999"),
            "'--listen' (env var: 'NIGHTSAFE_LISTEN'): give HOST:PORT, as 127.0.0.1:8788",
        ),
        (
            ("--domain", "."),
            "'--domain' (env var: 'NIGHTSAFE_DOMAIN'): give a domain, as workers.example.com",
        ),
        (
            ("--tls-client-ca", "x.pem"),
            "--tls-client-ca needs --client-cert and --client-key: what this process shows to the API",
        ),
    ],
)
def test_options_that_cannot_be(safe: Safe, arguments: tuple[str, ...], refused: str) -> None:
    """Are refused by name, with 2."""
    code, line = refusal("run", "--data", str(safe.path), *arguments, cwd=safe.path.parent)

    assert (2, refused) == (code, line.removeprefix("Error: ").removeprefix("Invalid value for "))


def test_what_deliver_needs(safe: Safe, tmp_path: Path) -> None:
    """Each file is asked for by its flag; an API elsewhere without TLS is refused, and what is no address."""
    ring, keys = (
        ("--private-ring", str(safe.private_ring)),
        ("--verify-keys", str(safe.path / "keys/verify-keys.json")),
    )
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("nst_x")
    whole = ("deliver", *ring, *keys, "--token-file", str(token))

    elsewhere = "http://192.0.2.1/client/v4"
    needed = "is needed: nightsafe init makes the file"
    assert (2, f"Error: --private-ring {needed}") == refusal("deliver", *keys, cwd=tmp_path)
    assert (2, f"Error: --verify-keys {needed}") == refusal("deliver", *ring, cwd=tmp_path)
    assert (
        2,
        "Error: give one of --token-file and --token-fd; make the token with: nightsafe token create",
    ) == refusal("deliver", *ring, *keys, cwd=tmp_path)
    assert (
        1,
        f"nightsafe: --api {elsewhere}: without TLS the token can be read on the way; use https://, or --plain-http",
    ) == refusal(*whole, "--api", elsewhere, cwd=tmp_path)
    assert (1, "nightsafe: --api takes an address that begins with http:// or https://") == refusal(
        *whole, "--api", "safe.example", cwd=tmp_path
    )
    assert (
        1,
        "nightsafe: --api-ca, --client-cert or --client-key cannot be read, or do not fit each other",
    ) == refusal(*whole, "--api", "https://safe.example/client/v4", "--api-ca", "absent.pem", cwd=tmp_path)


def test_a_port_that_is_taken(own: Run, tmp_path: Path) -> None:
    """Is refused with its number; so is a second process with the same marks."""
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
    assert f"cannot listen on {address}: Address already in use; name another --listen" in taken.stderr
    assert 1 == again.returncode
    assert "another delivery process uses it" in again.stderr
    with Wire.to(own) as wire:
        upload(wire, "worker", HELLO, secret("TOKEN", "still served"))
    assert "still served" == own.workers.text("worker")


def test_a_safe_that_is_not_there(tmp_path: Path) -> None:
    """Is refused as `serve` does."""
    assert (1, "nightsafe: there is no safe in .nightsafe; make one with: nightsafe init") == refusal(
        "run", cwd=tmp_path
    )


def test_over_tls(safe: Safe, tmp_path: Path) -> None:
    """Both alone and together; clients' certificates are shown, and an issuer that is not known is said to be so."""
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
            until(lambda: [one for one in delivery.problems() if "its certificate is not trusted" in one])
            assert 503 == delivery.workers.get("worker").status_code


def test_a_token_that_is_refused(safe: Safe, tmp_path: Path) -> None:
    """Is said to be so, and Workers run on; a token for several accounts needs to be told which."""
    with Server(safe) as server, Wire.to(server) as wire:
        upload(wire, "worker", HELLO, secret("TOKEN", "x"))
        delivery = Deliver(safe, server.base_url, tmp_path / "delivery")
        with delivery:
            until(lambda: delivery.workers.get("worker").text == "x")
            listed = run("token", "list", "--data", str(safe.path), "--json", cwd=tmp_path).stdout
            tokens = {one["name"]: one["id"] for one in json.loads(listed)["tokens"]}
            assert 0 == run("token", "revoke", tokens["token"], "--data", str(safe.path), cwd=tmp_path).returncode
            upload(wire, "other", HELLO)
            until(lambda: [one for one in delivery.problems() if one.startswith("the API refuses the token (403)")])
            assert "x" == delivery.workers.text("worker")


def test_a_token_from_a_descriptor(safe: Safe, tmp_path: Path) -> None:
    """As a pipe that is read to its end, so that it is in no file."""
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


def test_scripts_on_this_machine(safe: Safe) -> None:
    """Are reached by other scripts when that is allowed, for development; not otherwise."""
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


def test_the_api_of_a_parent_that_is_gone(safe: Safe, tmp_path: Path) -> None:
    """Does not begin."""
    command = [sys.executable, "-P", "-m", "nightsafe.cli.api_child", "1", "serve", "--data", str(safe.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert (1, "", "the delivery process is gone\n") == (done.returncode, done.stdout, done.stderr)


def test_a_system_without_landlock(
    safe: Safe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Serves all the same, and what is not kept from reading is said."""
    monkeypatch.setattr("nightsafe.cli.landlock._CREATE_RULESET", -1)
    api_child._confine(safe.path, [])

    assert "no Landlock, so the API's process could read the private ring" in capsys.readouterr().err
    assert safe.private_ring.read_bytes()
