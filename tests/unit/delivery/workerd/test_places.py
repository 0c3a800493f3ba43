"""The path of workerd, and the folder of the sockets."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from nightsafe.delivery.workerd import binary
from nightsafe.delivery.workerd.folder import SocketFolder
from nightsafe.errors import Code, NightsafeError


def program(path: Path) -> Path:
    """Return an executable file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_variable_overrides_workerds_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment variable overrides the path where `make workerd` installs it."""
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.delenv(binary.BINARY_VARIABLE, raising=False)
    installed = program(tmp_path / "node_modules" / "@cloudflare" / "workerd-linux-64" / "bin" / "workerd")
    assert installed == binary.find_workerd(tmp_path)

    named = program(tmp_path / "another")
    monkeypatch.setenv(binary.BINARY_VARIABLE, str(named))
    assert named == binary.find_workerd(tmp_path)


def test_a_missing_workerd_is_refused_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing workerd is refused with its version and the way to install it."""
    monkeypatch.delenv(binary.BINARY_VARIABLE, raising=False)
    with pytest.raises(NightsafeError, match="make workerd") as refused:
        binary.find_workerd(tmp_path)
    assert binary.VERSION in str(refused.value)

    monkeypatch.setenv(binary.BINARY_VARIABLE, str(tmp_path))
    with pytest.raises(NightsafeError, match="is not an executable file"):
        binary.find_workerd(tmp_path)


def test_another_binary_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A binary with another hash is refused."""
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    with pytest.raises(NightsafeError, match="as it was published"):
        binary.verify_workerd(program(tmp_path / "workerd"))


def test_only_one_process_holds_the_folder() -> None:
    """One process at a time has the folder, with mode 0700; leftovers of a killed process are removed."""
    with TemporaryDirectory(prefix="ns-") as name:
        path = Path(name) / "run"
        first, second = SocketFolder(path), SocketFolder(path)
        first.acquire()
        (path / "control.sock").touch()
        (path / "reach").mkdir()
        (path / "reach" / "reach.capnp").touch()
        with pytest.raises(NightsafeError) as refused:
            second.acquire()
        assert Code.UNAVAILABLE is refused.value.code
        assert (path / "control.sock").exists()
        first.release()
        second.acquire()

        assert [] == list(path.iterdir())
        assert 0o700 == path.stat().st_mode & 0o777
        second.release()


def test_a_folder_with_a_long_path_is_refused(tmp_path: Path) -> None:
    """A folder whose path is too long for a socket is refused and not created."""
    path = tmp_path / ("x" * 120)
    with pytest.raises(NightsafeError, match="too long for unix sockets"):
        SocketFolder(path).acquire()
    assert not path.exists()


def test_a_folder_that_cannot_be_created_is_refused() -> None:
    """A folder that cannot be created is refused by name."""
    with TemporaryDirectory(prefix="ns-") as name:
        file = Path(name) / "file"
        file.touch()
        with pytest.raises(NightsafeError, match="cannot be used"):
            SocketFolder(file / "run").acquire()
