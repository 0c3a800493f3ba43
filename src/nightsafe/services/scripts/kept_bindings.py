"""The complete rule for which bindings of the previous version an upload keeps without naming them.

No upload loses a secret by accident. Clients write `keep_bindings` in four forms, with different meanings:

    form                            deployed at once (`PUT`)          not deployed (`POST …/versions`)
    absent or null                  secrets                           secrets
    without a secret type           secrets and the listed types      secrets and the listed types
    with a secret type              secrets and the listed types      the listed types
    []                              secrets                           nothing

wrangler up to 3.34 sends `["plain_text", "json"]` for `--keep-vars` and cannot name secrets: it relies on Cloudflare
to keep them. Later versions leave secrets out only when they make a version that must still be deployed: `versions
secret delete` sends `["secret_key"]` and inherits each `secret_text` that should stay. With any list, an upload that
is deployed at once loses no secret: clients delete secrets with other requests. The decision page 0010 covers each
endpoint.
"""

from typing import Any

from nightsafe.bindings.json_fields import need_array
from nightsafe.bindings.kinds import PLAIN_KINDS
from nightsafe.bindings.model import SECRET_KINDS
from nightsafe.errors import Code, NightsafeError

_MEMBER = "keep_bindings"


def kept_kinds(fields: dict[str, Any], *, deployed: bool) -> frozenset[str]:
    """Return the types whose bindings stay from the previous version, unless the upload has one of the same name.

    Args:
        fields: the upload's metadata.
        deployed: whether the new version is deployed at once.

    Raises:
        NightsafeError: INVALID, if the member is not a list of binding types.
    """
    if fields.get(_MEMBER) is None:
        return SECRET_KINDS
    kinds = need_array(fields, _MEMBER, "")
    if not all(isinstance(kind, str) and (kind in SECRET_KINDS or kind in PLAIN_KINDS) for kind in kinds):
        raise NightsafeError(Code.INVALID, f"'{_MEMBER}' may hold only binding types", f"/{_MEMBER}")
    listed = frozenset(kinds)
    names_no_secrets = bool(listed) and SECRET_KINDS.isdisjoint(listed)
    return listed | SECRET_KINDS if deployed or names_no_secrets else listed
