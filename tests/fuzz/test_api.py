"""A short round of `make fuzz-api`, the same in every run."""

from pathlib import Path

from tests.effort import chosen
from tests.fuzz.api.run import fuzz

_SEED = 2026
_COUNT = chosen(2_500, 1_000)
_SECONDS = 120


def test_a_server_survives_a_short_round(tmp_path: Path) -> None:
    """No 5xx, no lost or late answer, no sentinel changed or shown, and nothing unforeseen in the log."""
    run = fuzz(tmp_path, _SEED, _COUNT, _SECONDS)
    assert run.outcome.failures == 0, run.describe()
    assert run.outcome.statuses[200] > _COUNT // 20
