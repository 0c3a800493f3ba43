"""The public ring to which clients seal."""

import json
from pathlib import Path

from tests.unit.api.tools.driver import Api
from tests.unit.api.tools.rotation import ROOT, Rotation


def test_the_public_ring_is_current(own_api: Api, tmp_path: Path) -> None:
    """The answer is the current ring file without its number, also after a rotation and without a restart."""
    rotation = Rotation(own_api, tmp_path)
    answers = []
    for _ in range(2):
        answers.append(own_api.send("GET", f"{ROOT}/public-ring").result)
        form = json.loads(rotation.public.read_bytes())
        assert (form["keys"], "nightsafe-public-ring/1") == (answers[-1]["keys"], answers[-1]["format"])
        assert {"keys", "format"} == answers[-1].keys()
        rotation.rotate()

    assert answers[0] != answers[1]
