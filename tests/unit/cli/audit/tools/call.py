"""Runs `nightsafe audit` in this process."""

from pathlib import Path

import structlog
from click.testing import CliRunner, Result

from nightsafe.cli.main import cli


def call(*arguments: str | Path, code: int = 0) -> Result:
    """Run `nightsafe audit`; check its exit code."""
    done = CliRunner().invoke(cli, ["audit", *map(str, arguments)])
    structlog.reset_defaults()
    assert code == done.exit_code, (done.output, done.exception)
    return done
