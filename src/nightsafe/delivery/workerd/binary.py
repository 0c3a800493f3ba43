"""Finds the binary of the Workers runtime, and checks that it is the supported build."""

import os
import platform
from hashlib import file_digest
from pathlib import Path
from typing import Final

from nightsafe.errors import Code, NightsafeError
from nightsafe.user_folder import untrusted_file_reason

VERSION: Final = "1.20261117.1"
"""Version of the npm package. Builds differ in behaviour that Nightsafe relies on, so it supports only this one."""

LAUNCH: Final = Path(__file__).with_name("launch.py")
"""The program that confines its process and then becomes workerd."""

BINARY_VARIABLE: Final = "WORKERD_BIN"

_PACKAGES: Final = {"x86_64": "workerd-linux-64", "aarch64": "workerd-linux-arm64"}
_DIGESTS: Final = {
    "x86_64": "2c950df972c039779162ed3803db9fe3f407b70709db2c9ef5a523b36cac4583",
    "aarch64": "37007f28648931403563dbb75c6c784c3be0755d3a8793877c0d7ef33d116b7c",
}
_INSTALL_ADVICE: Final = (
    f"run `make workerd`, or install the npm package workerd@{VERSION} and set {BINARY_VARIABLE} to its binary"
)


def find_workerd(folder: Path = Path(".workerd")) -> Path:
    """Return the binary that `WORKERD_BIN` names, or else the one that `make workerd` has installed in a folder.

    Raises:
        NightsafeError: UNAVAILABLE, when there is no such program; the message says how to install it.
    """
    package = _PACKAGES.get(platform.machine(), "workerd-linux-64")
    configured = os.environ.get(BINARY_VARIABLE)
    path = Path(configured) if configured else folder / "node_modules" / "@cloudflare" / package / "bin" / "workerd"
    if not path.is_file() or not os.access(path, os.X_OK):
        problem = (
            f"{BINARY_VARIABLE} names {path}, which is not an executable file"
            if configured
            else "workerd is not installed"
        )
        raise NightsafeError(Code.UNAVAILABLE, f"{problem}: {_INSTALL_ADVICE}")
    return path.resolve()


def verify_workerd(path: Path) -> None:
    """Refuse a binary that others could write or replace, or whose SHA-256 differs from the pinned build's.

    The check reads the whole file, which takes half a second. The file that runs later is the same, because no other
    user can change it meanwhile.

    Raises:
        NightsafeError: UNAVAILABLE, when it is refused; the message says why, or how to get the right build.
    """
    expected = _DIGESTS.get(platform.machine())
    if expected is None:
        machines = ", ".join(_DIGESTS)
        raise NightsafeError(
            Code.UNAVAILABLE, f"workerd {VERSION} is supported on {machines}; this machine is {platform.machine()}"
        )
    with path.open("rb") as file:
        problem = untrusted_file_reason(path, file.fileno())
        if problem is not None:
            raise NightsafeError(
                Code.UNAVAILABLE, f"{path} is refused because somebody else may change it: {problem}"
            )
        digest = file_digest(file, "sha256").hexdigest()
    if digest != expected:
        raise NightsafeError(
            Code.UNAVAILABLE, f"{path} is not workerd {VERSION} as it was published: {_INSTALL_ADVICE}"
        )


def workerd_problem(folder: Path = Path(".workerd")) -> str:
    """Return what is wrong with the runtime's binary and how to fix it; "" when it is the supported build."""
    try:
        verify_workerd(find_workerd(folder))
    except NightsafeError as error:
        return error.problems[0].detail
    except OSError as error:
        return f"workerd cannot be read: {error.strerror}"
    return ""
