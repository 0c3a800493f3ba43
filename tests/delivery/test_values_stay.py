"""Values are where they are used, and nowhere else that anyone could look."""

import os
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.delivery.keys import base64url, binding
from tests.delivery.scene import Scene, text

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


def spellings(value: bytes) -> list[bytes]:
    """How a value might be written down."""
    return [value, b64encode(value).rstrip(b"="), urlsafe_b64encode(value).rstrip(b"="), value.hex().encode()]


def places(pid: int) -> dict[str, bytes]:
    """What anyone may look at of a process: its arguments, its environment, the files it has open."""
    root = Path(f"/proc/{pid}")
    found = {name: (root / name).read_bytes() for name in ("cmdline", "environ", "comm", "maps", "limits")}
    for descriptor in (root / "fd").iterdir():
        target = descriptor.resolve()
        if target.is_file() and target.stat().st_size < 1 << 20:
            found[str(target)] = target.read_bytes()
    return found


def files_under(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_values_are_nowhere_to_be_found(scene: Scene, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Not in arguments, environments, files or logs, through start, update, failure, and restart of workerd."""
    planted = {name: b"planted" + os.urandom(24).hex().encode() for name in ("text", "raw", "jwk", "newer")}
    raw = {"format": "raw", "key_base64": b64encode(planted["raw"]).decode()}
    jwk = {"format": "jwk", "key_jwk": {"kty": "oct", "k": base64url(planted["jwk"])}}
    keys = [binding("RAW", raw, HMAC, "sign"), binding("JWK", jwk, HMAC, "sign")]
    with capture_logs() as logs:
        for value in ("text", "newer"):
            await scene.upload("holder", CODE, [text("TOKEN", planted[value].decode()), *keys])
            assert "planted" == (await scene.get("holder")).text
            assert 500 == (await scene.get("holder", "/throw")).status_code
        await scene.upload(
            "broken",
            "throw new Error(JSON.stringify((await import('cloudflare:workers')).env));",
            [text("TOKEN", planted["text"].decode())],
        )
        assert 500 == (await scene.get("broken")).status_code
        pid = scene.delivery.supervisor.current.pid
        seen = places(pid) | {f"own {name}": data for name, data in places(os.getpid()).items()}

    seen |= files_under(folder)
    out, err = capfd.readouterr()
    seen |= {"log": str(logs).encode(), "stdout": out.encode(), "stderr": err.encode()}
    assert {"cmdline", "environ", "log", "stderr"} < set(seen)
    assert b"" == seen["environ"]
    for name, planted_value in planted.items():
        for spelling in spellings(planted_value):
            assert [] == [place for place, data in seen.items() if spelling in data], name


async def test_workerd_leaves_no_core_file(scene: Scene) -> None:
    """Its limit is 0, so that a crash writes no memory to disk."""
    limits = places(scene.delivery.supervisor.current.pid)["limits"].decode()

    assert ["0", "0"] == next(line for line in limits.splitlines() if "core file" in line).split()[4:6]


async def test_what_scripts_print(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Is dropped, unless the operator wants to see it."""
    code = "export default { fetch(request, env) { console.log(env.TOKEN); return new Response('said'); } };"
    for wanted in (False, True):
        with capture_logs() as log:
            async with Scene(folder, worker_output=wanted) as scene:
                await scene.upload("says", code, [text("TOKEN", "these words")])
                assert "said" == (await scene.get("says")).text
                while wanted and not [one for one in log if one["event"] == "worker.output"]:
                    await scene.stats()

        assert wanted == ("these words" in str(log))
        assert ("", "") == capfd.readouterr()
