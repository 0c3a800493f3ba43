"""Archives of the audit log have no values, and are private."""

import json
import stat
from pathlib import Path

from tests.live.tools.running import until
from tests.security.tools.planted_server import Planted
from tests.server import run


def test_an_archive_has_no_value_and_is_private(planted: Planted, tmp_path: Path) -> None:
    """No archive of the audit log has a value, and other users of the machine cannot read it.

    The log of a server that has received values and credentials in every way is archived, in a copy of the safe.
    """
    backup, copy, folder = tmp_path / "backup.tar", tmp_path / "copy", tmp_path / "archives"
    for command in (("backup", backup, "--data", planted.safe.path), ("restore", backup, "--data", copy)):
        assert 0 == run(*map(str, command), cwd=tmp_path).returncode

    def archive() -> int:
        """Archive what is older than a second; return the number of entries."""
        options = ("--data", copy, "--audit-keep", "1s", "--audit-archive", folder, "--json")
        return int(json.loads(run("audit", "archive", *map(str, options), cwd=tmp_path).stdout)["archived"])

    archived = 0
    while archived < 20:
        archived += until(archive)
    files = [*folder.iterdir()]
    content = b"".join(file.read_bytes() for file in files)

    assert [] == [value for value in planted.planted if value in content]
    assert b'"action":"secrets.put"' in content
    assert {0o700, 0o600} == {stat.S_IMODE(path.stat().st_mode) for path in (folder, *files)}
