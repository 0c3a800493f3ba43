"""`nightsafe store copy` in small parts, which is killed before the part with the given number; 0 for never.

It prints how many parts it has written.
"""

import os
import signal
import sys
from itertools import count
from typing import Any
from unittest import mock

from click.testing import CliRunner

from nightsafe.cli.main import cli
from nightsafe.store.postgres import copying as postgres
from nightsafe.store.sqlite import copying as sqlite

last, numbers = int(sys.argv[1]), count(1)


def counted(replace: Any) -> Any:
    """Return a function that counts the parts that are written."""

    async def replaced(*arguments: Any) -> None:
        """Write a part, or be killed."""
        if next(numbers) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        await replace(*arguments)

    return replaced


with (
    mock.patch.object(sqlite, "_PART_ROWS", 4),
    mock.patch.object(postgres, "_PART_ROWS", 4),
    mock.patch.object(sqlite.SqliteTarget, "replace", counted(sqlite.SqliteTarget.replace)),
    mock.patch.object(postgres.PostgresTarget, "replace", counted(postgres.PostgresTarget.replace)),
):
    done = CliRunner().invoke(cli, ["store", "copy", *sys.argv[2:]])
assert done.exit_code == 0, (done.output, done.exception)
sys.stdout.write(f"{next(numbers) - 1}\n")
