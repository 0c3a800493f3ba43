"""The metadata of uploads: any JSON."""

from nightsafe.api.http.body import parse_json
from nightsafe.errors import NightsafeError
from nightsafe.services.limits import Limits
from nightsafe.services.scripts.modules import Part
from nightsafe.services.scripts.upload import parse_upload

_LIMITS = Limits()
_FILES = [Part("worker.js", "application/javascript+module", b"export default {}")]


def check(data: bytes) -> None:
    """Check that it is refused with what is wrong, or is an upload."""
    try:
        parse_upload(parse_json(data), _FILES, _LIMITS, deployed=True)
    except NightsafeError as refused:
        assert all(problem.detail or problem.code for problem in refused.problems)
