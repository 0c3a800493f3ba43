"""Values are found where they are used and nowhere else that others could look."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.delivery.runtime import Runtime, text


def inspectable(pid: int) -> dict[str, bytes]:
    """Return what others may inspect of a process, such as its arguments, environment and open files."""
    root = Path(f"/proc/{pid}")
    found = {name: (root / name).read_bytes() for name in ("cmdline", "environ", "comm", "maps", "limits")}
    for descriptor in (root / "fd").iterdir():
        target = descriptor.resolve()
        if target.is_file() and target.stat().st_size < 1 << 20:
            found[str(target)] = target.read_bytes()
    return found


async def test_workerd_leaves_no_core_file(runtime: Runtime) -> None:
    """The core file limit of workerd is 0, so that a crash writes no memory to disk."""
    limits = inspectable(runtime.delivery.supervisor.current.pid)["limits"].decode()

    assert ["0", "0"] == next(line for line in limits.splitlines() if "core file" in line).split()[4:6]


async def test_script_output_is_dropped_by_default(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Script output is dropped unless the operator asks for it."""
    code = "export default { fetch(request, env) { console.log(env.TOKEN); return new Response('said'); } };"
    for wanted in (False, True):
        (folder / str(wanted)).mkdir()
        with capture_logs() as log:
            async with Runtime(folder / str(wanted), worker_output=wanted) as runtime:
                await runtime.upload("says", code, [text("TOKEN", "these words")])
                assert "said" == (await runtime.get("says")).text
                while wanted and not [entry for entry in log if entry["event"] == "worker.output"]:
                    await runtime.stats()

        assert wanted == ("these words" in str(log))
        assert ("", "") == capfd.readouterr()
