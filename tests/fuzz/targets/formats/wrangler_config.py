"""wrangler's configuration in the working directory: JSON with comments, or TOML when the first byte is a `t`."""

import tempfile
from pathlib import Path

from nightsafe.cli.settings.wrangler_config import configured_script

_FOLDER = tempfile.TemporaryDirectory(prefix="nightsafe-fuzz-")


def check(data: bytes) -> None:
    """Check that it has a name or none; no content of the file makes the command fail."""
    folder = Path(_FOLDER.name)
    path = folder / ("wrangler.toml" if data[:1] == b"t" else "wrangler.jsonc")
    path.write_bytes(data[1:])
    try:
        name = configured_script(folder)
    finally:
        path.unlink()
    assert name is None or (isinstance(name, str) and name)
