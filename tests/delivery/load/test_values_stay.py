"""Values are where they are used, and nowhere else that anyone could look."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.delivery.scene import Scene, text


def places(pid: int) -> dict[str, bytes]:
    """What anyone may look at of a process: its arguments, its environment, the files it has open."""
    root = Path(f"/proc/{pid}")
    found = {name: (root / name).read_bytes() for name in ("cmdline", "environ", "comm", "maps", "limits")}
    for descriptor in (root / "fd").iterdir():
        target = descriptor.resolve()
        if target.is_file() and target.stat().st_size < 1 << 20:
            found[str(target)] = target.read_bytes()
    return found


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
