"""Calls between scripts behave through the dispatcher as between two Workers on a bare workerd."""

from pathlib import Path
from typing import Any, Final

import pytest
from tests.delivery.bare import bare
from tests.delivery.runtime import Binding, Runtime
from tests.effort import last_first

SCRIPTS: Final = Path(__file__).with_name("scripts")
CALLEE: Final = (SCRIPTS / "callee.js").read_text()

CALLER: Final = (SCRIPTS / "caller.js").read_text()

PROPS: Final = {"tenant": "a", "nested": {"list": [1, None, "two"]}}
BINDINGS: Final[list[Binding]] = [
    {"type": "service", "name": "S", "service": "callee", "entrypoint": "Named", "props": PROPS},
    {"type": "service", "name": "DEFAULT", "service": "callee"},
]


@pytest.mark.parametrize(
    "dates",
    last_first(
        [
            ("2021-11-02", "2021-11-02"),
            ("2024-04-02", "2026-04-01"),
            ("2024-04-03", "2026-04-01"),
            ("2026-04-01", "2026-04-01"),
            ("2026-11-10", "2026-11-10"),
            ("2026-04-01", "2024-04-03"),
        ]
    ),
)
async def test_calls_behave_as_between_bare_workers(
    own_runtime: Runtime, folder: Path, dates: tuple[str, str]
) -> None:
    """Properties, methods, pipelines, callbacks, errors, disposal and props behave as without the dispatcher."""
    (folder / "bare").mkdir()
    await own_runtime.upload("callee", CALLEE, compatibility_date=dates[1])
    await own_runtime.upload("caller", CALLER, BINDINGS, compatibility_date=dates[0])
    async with bare(folder / "bare", CALLER, CALLEE, dates, PROPS) as client:
        expected: dict[str, Any] = (await client.get("/")).json()
        found: dict[str, Any] = (await own_runtime.get("caller")).json()

    assert expected == found
