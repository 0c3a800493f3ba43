"""Searches for a value in other processes, history, files and the screen, while a command has it and afterwards.

The request that carries the value is held back, so that the search runs while the command has the value in memory.
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
from tests.clients.cli.tools.holding_proxy import Gate
from tests.clients.cli.tools.terminal import Terminal, plain
from tests.clients.cli.tools.user_environment import UserEnvironment
from tests.server import NIGHTSAFE

_SECONDS = 60


@pytest.fixture
def canary() -> str:
    """Return a random value that exists only in this test."""
    return f"canary/{secrets.token_urlsafe(18)}+{secrets.token_hex(6)}"


@pytest.fixture
def gate(user: UserEnvironment) -> Iterator[Gate]:
    """Yield a gate that holds requests that change secrets."""
    with Gate(user.server.port, b"PATCH ") as made:
        user.environ["CLOUDFLARE_BASE_URL"] = f"http://127.0.0.1:{made.port}/client/v4"
        yield made


def processes() -> dict[str, bytes]:
    """Return everything that the same user can see of every process."""
    seen = {}
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ", "comm"):
            try:
                seen[f"{process}/{name}"] = (process / name).read_bytes()
            except OSError:
                continue
    return seen


def everything_visible(user: UserEnvironment, given: Sequence[str] = ()) -> dict[str, bytes]:
    """Return all processes, and every file of the user except the files that contained the value from the start."""
    held = {place: content for place, content in files(user.home.parent).items() if Path(place).name not in given}
    return processes() | held


def visible_during_and_after(
    user: UserEnvironment, gate: Gate, terminal: Terminal, given: Sequence[str] = ()
) -> dict[str, bytes]:
    """Return everything visible while a command waits for its answer, and after it has ended."""
    while not gate.holds.wait(0.05):
        assert terminal.pid
    during = everything_visible(user, given)
    assert any("environ" in place for place in during)
    gate.opened.set()
    code = terminal.end()
    assert 0 == code, terminal.shown
    after = {f"{place} at the end": content for place, content in everything_visible(user, given).items()}
    return during | after | {"the screen": plain(terminal.shown).encode(), "raw": terminal.shown.encode()}


@pytest.mark.parametrize("seal", ["auto", "never"])
def test_a_typed_value_does_not_leak(user: UserEnvironment, gate: Gate, canary: str, seal: str) -> None:
    """A value typed at the prompt leaks nowhere, sealed or unsealed."""
    with user.terminal("secret", "put", "TOKEN", "--seal", seal, cold=True) as terminal:
        terminal.answer("Value of TOKEN:", canary)
        places = visible_during_and_after(user, gate, terminal)

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
def test_a_value_from_a_file_does_not_leak(
    user: UserEnvironment, gate: Gate, canary: str, arguments: tuple[str, ...], name: str
) -> None:
    """The value is only in the file that was given, with no copy anywhere."""
    user.write(name, canary if arguments[0] == "put" else f"TOKEN={canary}\n")

    with user.terminal("secret", *arguments, cold=True) as terminal:
        places = visible_during_and_after(user, gate, terminal, given=[name])

    assert found([canary.encode()], places) == []


def test_a_key_and_its_password_do_not_leak(user: UserEnvironment, gate: Gate) -> None:
    """Neither a key's bytes nor the password of its file leaks."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    password = f"canary {secrets.token_hex(12)}"
    user.write("key.pem", key.private_bytes(pem, pkcs8, serialization.BestAvailableEncryption(password.encode())))
    plain_der = key.private_bytes(serialization.Encoding.DER, pkcs8, serialization.NoEncryption())

    with user.terminal("secret", "key", "import", "KEY", "key.pem", cold=True) as terminal:
        terminal.answer("Password of the key:", password)
        places = visible_during_and_after(user, gate, terminal)

    assert found([password.encode(), plain_der, plain_der[36:68]], places) == []


def test_a_value_from_openbao_does_not_leak(
    user: UserEnvironment, gate: Gate, canary: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A value read from OpenBao leaks nowhere."""
    with running_bao(tmp_path_factory.mktemp("bao")) as bao:
        bao.ask("POST", "secret/data/my-app", {"data": {"TOKEN": canary}})
        user.environ |= bao.environ
        with user.terminal("secret", "import", "bao:secret/my-app", cold=True) as terminal:
            places = visible_during_and_after(user, gate, terminal)

    assert found([canary.encode()], places) == []


def test_a_typed_value_is_not_in_the_shells_history(user: UserEnvironment, gate: Gate, canary: str) -> None:
    """The history of a shell contains the command but not the value that was typed."""
    if shutil.which("bash") is None:
        pytest.fail("bash is not installed", pytrace=False)
    history = user.home / ".bash_history"
    user.environ |= {"PS1": "ready> ", "HISTFILE": str(history)}
    with Terminal(["bash", "--norc", "--noprofile", "-i"], user.cwd, user.environ) as shell:
        shell.wait_for("ready> ")
        shell.type("nightsafe secret put TOKEN\n")
        shell.answer("Value of TOKEN:", canary)
        while not gate.holds.wait(0.05):
            assert shell.pid
        during = everything_visible(user)
        gate.opened.set()
        shell.wait_for("Put ")
        shell.type("exit\n")
        shell.end()
        places = during | {f"{at} at the end": held for at, held in everything_visible(user).items()}

    assert "nightsafe secret put TOKEN" in history.read_text()
    assert found([canary.encode()], places | {"the screen": shell.shown.encode()}) == []


@pytest.mark.parametrize("by", ["server", "client", "file"])
def test_a_refusal_repeats_no_value(user: UserEnvironment, canary: str, by: str) -> None:
    """No refusal contains the value: by the server, by the client, or because of the file."""
    with user.wire as wire:
        wire.upload(user.script, {"type": "plain_text", "name": "VAR", "text": "x"})
    content = {
        "server": {"VAR": canary},
        "client": {"A": canary * 200},
        "file": {
            "A": {"type": "secret_key", "format": "raw", "key_base64": base64.b64encode(canary.encode()).decode()}
        },
    }[by]

    for seal in ("auto", "never"):
        done = user.run("secret", "bulk", "-", "--seal", seal, stdin=json.dumps(content).encode())
        assert done.returncode in {1, 5}
        assert found([canary.encode()], {"stdout": done.stdout.encode(), "stderr": done.stderr.encode()}) == []


def test_the_search_finds_a_leaked_value(user: UserEnvironment, gate: Gate, canary: str) -> None:
    """The search finds a value in the environment and in a file."""
    user.environ["CANARY"] = canary
    user.write("left-behind", canary)
    with user.terminal(
        "secret", "put", "TOKEN", "--exact", command=[*NIGHTSAFE, "--config", "/dev/null"], cold=True
    ) as terminal:
        terminal.answer("Value of TOKEN:", "x")
        places = visible_during_and_after(user, gate, terminal)

    seen = {Path(place).name for place, _ in found([canary.encode()], places)}
    assert {"environ", "left-behind", "left-behind at the end"} <= seen
