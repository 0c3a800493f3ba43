"""No value shows where others look while a command has it, or afterwards: processes, history, files, the screen.

The request that carries the value is held back half-way, so that the command is caught with the value in its hands.
"""

import base64
import json
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.clients.canaries import files, found
from tests.clients.cli.tools.bao import running_bao
from tests.clients.cli.tools.desk import Desk
from tests.clients.cli.tools.gate import Gate
from tests.clients.cli.tools.terminal import Terminal, plain
from tests.server import NIGHTSAFE

_SECONDS = 60


@pytest.fixture
def canary() -> str:
    """A value that is nowhere else."""
    return f"canary/{secrets.token_urlsafe(18)}+{secrets.token_hex(6)}"


@pytest.fixture
def gate(desk: Desk) -> Iterator[Gate]:
    """A gate that holds what changes secrets."""
    with Gate(desk.server.port, b"PATCH ") as made:
        desk.environ["CLOUDFLARE_BASE_URL"] = f"http://127.0.0.1:{made.port}/client/v4"
        yield made


def processes() -> dict[str, bytes]:
    """What anybody, or the same user, can see of every process."""
    seen = {}
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ", "comm"):
            try:
                seen[f"{process}/{name}"] = (process / name).read_bytes()
            except OSError:
                continue
    return seen


def everywhere(desk: Desk, given: Sequence[str] = ()) -> dict[str, bytes]:
    """Processes, and every file of the desk but those that the value was given in."""
    held = {place: content for place, content in files(desk.home.parent).items() if Path(place).name not in given}
    return processes() | held


def caught(desk: Desk, gate: Gate, terminal: Terminal, given: Sequence[str] = ()) -> dict[str, bytes]:
    """Everything that can be seen while a command waits for its answer, and after it has ended."""
    while not gate.holds.wait(0.05):
        assert terminal.pid
    during = everywhere(desk, given)
    assert any("environ" in place for place in during)
    gate.opened.set()
    code = terminal.end()
    assert 0 == code, terminal.shown
    after = {f"{place} at the end": content for place, content in everywhere(desk, given).items()}
    return during | after | {"the screen": plain(terminal.shown).encode(), "raw": terminal.shown.encode()}


@pytest.mark.parametrize("seal", ["auto", "never"])
def test_a_value_that_is_typed(desk: Desk, gate: Gate, canary: str, seal: str) -> None:
    """At the prompt, sealed and unsealed."""
    with desk.terminal("secret", "put", "TOKEN", "--seal", seal) as terminal:
        terminal.answer("Value of TOKEN:", canary)
        places = caught(desk, gate, terminal)

    assert found([canary.encode()], places) == []


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("put", "TOKEN", "--from-file", "given"), "given"),
        (("bulk", "given"), "given"),
        (("import", "given"), "given"),
        (("apply", "given", "--prune", "--yes"), "given"),
    ],
)
def test_a_value_from_a_file(desk: Desk, gate: Gate, canary: str, arguments: tuple[str, ...], name: str) -> None:
    """It is in the file that it was given in, and in no other, nor left in a copy."""
    desk.write(name, canary if arguments[0] == "put" else f"TOKEN={canary}\n")

    with desk.terminal("secret", *arguments) as terminal:
        places = caught(desk, gate, terminal, given=[name])

    assert found([canary.encode()], places) == []


def test_a_key(desk: Desk, gate: Gate) -> None:
    """Neither its bytes nor the password that it was encrypted with."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    password = f"canary {secrets.token_hex(12)}"
    desk.write("key.pem", key.private_bytes(pem, pkcs8, serialization.BestAvailableEncryption(password.encode())))
    plain_der = key.private_bytes(serialization.Encoding.DER, pkcs8, serialization.NoEncryption())

    with desk.terminal("secret", "key", "import", "KEY", "key.pem") as terminal:
        terminal.answer("Password of the key:", password)
        places = caught(desk, gate, terminal)

    assert found([password.encode(), plain_der, plain_der[36:68]], places) == []


def test_a_value_from_openbao(desk: Desk, gate: Gate, canary: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """It comes over the network and goes over the network."""
    with running_bao(tmp_path_factory.mktemp("bao")) as bao:
        bao.ask("POST", "secret/data/my-app", {"data": {"TOKEN": canary}})
        desk.environ |= bao.environ
        with desk.terminal("secret", "import", "bao:secret/my-app") as terminal:
            places = caught(desk, gate, terminal)

    assert found([canary.encode()], places) == []


def test_the_shells_history(desk: Desk, gate: Gate, canary: str) -> None:
    """A person puts a secret in a shell: what the shell writes down afterwards has the command, and no value."""
    if shutil.which("bash") is None:
        pytest.fail("bash is not installed", pytrace=False)
    history = desk.home / ".bash_history"
    desk.environ |= {"PS1": "ready> ", "HISTFILE": str(history)}
    with Terminal(["bash", "--norc", "--noprofile", "-i"], desk.cwd, desk.environ) as shell:
        shell.wait_for("ready> ")
        shell.type("nightsafe secret put TOKEN\n")
        shell.answer("Value of TOKEN:", canary)
        while not gate.holds.wait(0.05):
            assert shell.pid
        during = everywhere(desk)
        gate.opened.set()
        shell.wait_for("Put ")
        shell.type("exit\n")
        shell.end()
        places = during | {f"{at} at the end": held for at, held in everywhere(desk).items()}

    assert "nightsafe secret put TOKEN" in history.read_text()
    assert found([canary.encode()], places | {"the screen": shell.shown.encode()}) == []


@pytest.mark.parametrize("by", ["server", "client", "file"])
def test_a_refusal_repeats_no_value(desk: Desk, canary: str, by: str) -> None:
    """Whoever refuses it, and for whatever reason."""
    with desk.wire as wire:
        wire.upload(desk.script, {"type": "plain_text", "name": "VAR", "text": "x"})
    content = {
        "server": {"VAR": canary},
        "client": {"A": canary * 200},
        "file": {
            "A": {"type": "secret_key", "format": "raw", "key_base64": base64.b64encode(canary.encode()).decode()}
        },
    }[by]

    for seal in ("auto", "never"):
        done = desk.run("secret", "bulk", "-", "--seal", seal, stdin=json.dumps(content).encode())
        assert done.returncode in {1, 5}
        assert found([canary.encode()], {"stdout": done.stdout.encode(), "stderr": done.stderr.encode()}) == []


def test_the_search_is_not_blind(desk: Desk, gate: Gate, canary: str) -> None:
    """A value in an argument, the environment, a file or on the screen is found there."""
    desk.environ["CANARY"] = canary
    desk.write("left-behind", canary)
    with desk.terminal(
        "secret", "put", "TOKEN", "--exact", command=[*NIGHTSAFE, "--config", "/dev/null"]
    ) as terminal:
        terminal.answer("Value of TOKEN:", "x")
        places = caught(desk, gate, terminal)

    seen = {Path(place).name for place, _ in found([canary.encode()], places)}
    assert {"environ", "left-behind", "left-behind at the end"} <= seen
