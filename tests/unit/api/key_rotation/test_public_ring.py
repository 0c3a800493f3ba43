"""The public ring that clients seal to."""

import json
from pathlib import Path

from tests.unit.api.tools.driver import Api
from tests.unit.api.tools.rotation import ROOT, Rotation


def test_it_is_the_ring_of_this_moment(own_api: Api, tmp_path: Path) -> None:
    """It is given as its file has it but for the number, and after a rotation as it is then, without a restart."""
    rotation = Rotation(own_api, tmp_path)
    given = []
    for _ in range(2):
        given.append(own_api.send("GET", f"{ROOT}/public-ring").result)
        form = json.loads(rotation.public.read_bytes())
        assert (form["keys"], "nightsafe-public-ring/1") == (given[-1]["keys"], given[-1]["format"])
        assert {"keys", "format"} == given[-1].keys()
        rotation.rotate()

    assert given[0] != given[1]
