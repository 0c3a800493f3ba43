"""Attacks on the delivery process with forged and older bundles, and searches for the values that it opens."""

import asyncio
import os
import shutil
import subprocess
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs
from tests.clients.canaries import files
from tests.delivery.keys import base64url, binding
from tests.delivery.load.test_values_stay import inspectable
from tests.delivery.runtime import Runtime, text
from tests.delivery.workerd.test_isolation import ATTACKER, VICTIM
from tests.live.tools.running import memory_of
from tests.unit.api.delivery.test_bundles import get
from tests.unit.api.tools.driver import ACCOUNT, Api, keys, verifier
from tests.unit.delivery.tools.taker import Taker
from tests.unit.delivery.tools.witnessed_log import WitnessedLog

from nightsafe.bundle.signed import open_bundle, sign_bundle
from nightsafe.delivery.cache.serials import Serials
from nightsafe.delivery.source.log_check import LogCheck
from nightsafe.delivery.source.witnesses import RequiredWitnesses
from nightsafe.errors import NightsafeError
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.secret_value import SecretValue

HMAC = {"name": "HMAC", "hash": "SHA-256"}
CODE = """
  console.log(JSON.stringify(env_of()), "planted by the script itself");
  import { env } from "cloudflare:workers";
  function env_of() { return Object.keys(env); }
  export default { async fetch(request, env) {
    if (new URL(request.url).pathname === "/throw") throw new Error(env.TOKEN);
    await crypto.subtle.sign("HMAC", env.RAW, new Uint8Array(1));
    return new Response(env.TOKEN.slice(0, 7));
  } };"""


@pytest.fixture
async def runtime(folder: Path) -> AsyncIterator[Runtime]:
    """Yield a delivery process with a real workerd."""
    async with Runtime(folder) as started:
        yield started


def test_only_bundles_of_the_api_are_accepted(own_api: Api, tmp_path: Path) -> None:
    """The delivery process accepts only bundles that the API signed for the script that it asked for.

    It refuses a bundle with a changed byte, from another signer, for another script, account or namespace, and an
    unsigned one.
    """
    for script in ("worker", "other"):
        assert own_api.upload(script).status == 200
    taker, good = Taker(own_api, tmp_path), get(own_api, "bundles/worker").body
    bundle = open_bundle(good, verifier())
    flipped = [good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :] for at in range(len(good))]
    elsewhere = [
        sign_bundle(replace(bundle, **members), keys()[1])
        for members in ({"script": "other"}, {"account_id": "f" * 32}, {"namespace": "n"})
    ]
    strange = sign_bundle(bundle, SigningKey.generate())

    for refused in (*flipped, *elsewhere, strange, get(own_api, "bundles/other").body, good[77:], good[:-1], b""):
        with pytest.raises(NightsafeError):
            taker.take(refused)
    assert bundle == taker.take(good)


@pytest.fixture
def older(own_api: Api, tmp_path: Path) -> Path:
    """Return a copy of the database with an older value; the API has a newer one."""
    assert own_api.upload("worker", {"main_module": "worker.js", "bindings": [text("TOKEN", "older")]}).status == 200
    own_api.restart()
    copy = tmp_path / "older.db"
    shutil.copy(own_api.path, copy)
    assert own_api.put("worker", text("TOKEN", "newer")).status == 200
    return copy


def put_back(api: Api, copy: Path) -> None:
    """Restart the API with an older database."""
    api.run(api.store.close())
    shutil.copy(copy, api.path)
    api.store = api.run(api._open())
    api.restart()


def test_no_older_bundle_is_accepted(own_api: Api, older: Path, tmp_path: Path) -> None:
    """The delivery process accepts no bundle with a lower serial than any it has seen.

    This holds after a restart too, because the number is in a file. The number is for the whole account, so it also
    holds for a script that the process has not requested before.
    """
    assert own_api.upload("other").status == 200
    recorded = get(own_api, "bundles/worker").body
    assert "newer" == Taker(own_api, tmp_path).value()
    put_back(own_api, older)
    with pytest.raises(NightsafeError, match=r"but \d+ has been seen"):
        Taker(own_api, tmp_path).take(recorded)

    for script in ("worker", "other"):
        with pytest.raises(NightsafeError, match=r"but \d+ has been seen"):
            Taker(own_api, tmp_path).take(script=script)


def test_an_older_database_is_refused_however_far_its_log_grows(own_api: Api, older: Path, tmp_path: Path) -> None:
    """The delivery process takes nothing from an older database that replaces the whole current one, however far the
    log of the older database has grown since.

    This holds for a running process, for one that starts again, and for a script that was not requested before.
    """
    running = Taker(own_api, tmp_path)
    assert "newer" == running.value()
    put_back(own_api, older)
    for number in range(6):
        assert own_api.upload(f"another-{number}").status == 200
        for taker in (running, Taker(own_api, tmp_path)):
            for script in ("worker", f"another-{number}"):
                with pytest.raises(NightsafeError, match=r"but \d+ has been seen|does not continue the log"):
                    taker.take(script=script)

    with pytest.raises(NightsafeError, match="does not continue the log"):
        running.take()


def test_a_forked_log_is_refused(own_api: Api, older: Path, tmp_path: Path) -> None:
    """The delivery process takes nothing from a log that was cut or forked, also if it is longer than the log seen
    last.

    Every checkpoint of the forked log has a valid signature.
    """
    assert "newer" == Taker(own_api, tmp_path).value()
    put_back(own_api, older)
    assert own_api.put("worker", text("TOKEN", "forked")).status == 200
    own_api.upload("another")
    assert verifier().open_checkpoint(own_api.run(own_api.store.checkpoint()))

    with pytest.raises(NightsafeError, match="does not continue the log"):
        Taker(own_api, tmp_path).take()


async def test_a_log_that_no_witness_knows_is_refused(tmp_path: Path) -> None:
    """With `--require-witness`, the delivery process takes nothing from a log that contradicts what the given
    witnesses have cosigned.

    The attacker has the signing key, and shows delivery a log that only grows, and the witness another one. Delivery
    has no marks.
    """
    honest = WitnessedLog(keys()[1], tmp_path)
    honest.grow("entry", 3)
    assert 200 == await honest.ask()
    honest.entries[2:] = ["shown to delivery only", "and more"]
    assert 422 == await honest.ask()
    check = LogCheck(ACCOUNT, honest, verifier(), Serials(tmp_path / "marks.json"), RequiredWitnesses(1, honest.keys))

    for _ in range(2):
        with pytest.raises(NightsafeError, match="does not continue the log that the witnesses have cosigned"):
            await check.check()
        honest.grow("later", 3)


async def test_the_socket_answers_only_own_processes(runtime: Runtime) -> None:
    """The delivery process hands out values over a socket that answers only its own workerd processes.

    It gives no answer to another process of the same user; other users cannot enter the directory.
    """
    await runtime.upload("hello", "export default {};", [text("TOKEN", "planted-secret")])
    control = runtime.settings.folder / "control.sock"
    code = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
try:
    s.sendall(b"GET /loads/1 HTTP/1.1\\r\\nHost: cp\\r\\n\\r\\n")
    print(s.recv(65536))
except ConnectionError:
    print(b"")
"""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code, str(control)], capture_output=True, text=True, check=True
    )

    assert done.stdout == "b''\n"
    modes = {path.name: path.stat().st_mode & 0o777 for path in (runtime.settings.folder, control)}
    assert {"run": 0o700, "control.sock": 0o600} == modes


def spellings(value: bytes) -> list[bytes]:
    """Return the encodings in which to search for a value."""
    return [value, b64encode(value).rstrip(b"="), urlsafe_b64encode(value).rstrip(b"="), value.hex().encode()]


async def test_opened_values_are_in_no_place(
    runtime: Runtime, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """No value that the delivery process opens is in a file, an argument, an environment variable or the log.

    The test searches its processes after a start, an update and a failure of a script.
    """
    planted = {name: b"planted" + os.urandom(24).hex().encode() for name in ("text", "raw", "jwk", "newer")}
    raw = {"format": "raw", "key_base64": b64encode(planted["raw"]).decode()}
    jwk = {"format": "jwk", "key_jwk": {"kty": "oct", "k": base64url(planted["jwk"])}}
    keys = [binding("RAW", raw, HMAC, "sign"), binding("JWK", jwk, HMAC, "sign")]
    with capture_logs() as logs:
        for value in ("text", "newer"):
            await runtime.upload("holder", CODE, [text("TOKEN", planted[value].decode()), *keys])
            assert "planted" == (await runtime.get("holder")).text
            assert 500 == (await runtime.get("holder", "/throw")).status_code
        await runtime.upload(
            "broken",
            "throw new Error(JSON.stringify((await import('cloudflare:workers')).env));",
            [text("TOKEN", planted["text"].decode())],
        )
        assert 500 == (await runtime.get("broken")).status_code
        pid = runtime.delivery.supervisor.current.pid
        seen = inspectable(pid) | {f"own {name}": data for name, data in inspectable(os.getpid()).items()}

    seen |= files(folder)
    out, err = capfd.readouterr()
    seen |= {"log": str(logs).encode(), "stdout": out.encode(), "stderr": err.encode()}
    assert {"cmdline", "environ", "log", "stderr"} < set(seen)
    assert b"" == seen["environ"]
    for name, planted_value in planted.items():
        for spelling in spellings(planted_value):
            assert [] == [place for place, data in seen.items() if spelling in data], name


async def test_a_script_reads_nothing_of_another(runtime: Runtime) -> None:
    """With a delivered script, an attacker can read its own bindings, and use a share of CPU and memory, but cannot
    read a value of another script.

    The attacker tries globals, loaders, modules, the network and a service binding; the other script still answers.
    """
    await runtime.upload("victim", VICTIM, [text("TOKEN", "planted-secret")])
    await runtime.get("victim")
    service = {"type": "service", "name": "VICTIM", "service": "victim"}
    await runtime.upload("attacker", ATTACKER, [service, text("OWN", "its own value")])

    found = (await runtime.get("attacker")).json()

    assert "planted" not in str(found)
    assert "its own value" in found.pop("env")
    assert "undefined" == found.pop("global")
    assert '["default","NightsafeLifecycle"]' == found.pop("exports")  # the script's own exports
    found.pop("module")  # this module has no export
    assert [] == [name for name, answer in found.items() if not answer.startswith("refused")]
    assert "planted-secret" == (await runtime.get("victim")).text


async def test_a_script_can_send_its_values(runtime: Runtime) -> None:
    """A script can print its values or send them away."""
    code = "export default { fetch(request, env) { return new Response(`here you are: ${env.TOKEN}`); } };"
    await runtime.upload("telling", code, [text("TOKEN", "its own value")])

    assert "here you are: its own value" == (await runtime.get("telling")).text


async def test_copies_stay(runtime: Runtime) -> None:
    """Python cannot promise that every copy of a value in memory is overwritten: values are wiped in our own buffers,
    not in what Python, V8 or the kernel have copied.

    Our buffer of one value is wiped, but a Python copy of it is not; the memory of workerd contains another value.
    """
    value = SecretValue(b"planted-in-memory")
    copy = value.reveal()
    value.wipe()
    await runtime.upload(
        "holder", "export default { fetch: (_, env) => new Response(env.A) };", [text("A", "kept-by-v8-")]
    )
    assert "kept-by-v8-" == (await runtime.get("holder")).text

    assert (b"planted-in-memory", 0) == (bytes(copy), len(value))
    assert any(b"kept-by-v8-" in part for part in memory_of(runtime.delivery.supervisor.current.pid))
