"""Which bindings of the version before an upload keeps without naming them: the whole rule.

No upload loses a secret by accident. Clients write `keep_bindings` in four forms, and mean different things by them:

    form                        in force at once (`PUT`)      not in force (`POST …/versions`)
    absent or null              secrets                       secrets
    no kind of secret in it     secrets, and what it lists    secrets, and what it lists
    a kind of secret in it      secrets, and what it lists    what it lists
    []                          secrets                       nothing

wrangler up to 3.34 sends `["plain_text", "json"]` for `--keep-vars` and has no word for secrets: it relies on their
being kept. Later ones leave secrets out only where they make a version that somebody still has to deploy: `versions
secret delete` sends `["secret_key"]` and inherits each `secret_text` that is to stay. What is in force at once loses
no secret by any list: there are calls to delete one. The decision page 0010 has each endpoint.
"""

from typing import Any

from nightsafe.bindings.json_fields import need_array
from nightsafe.bindings.kinds import PLAIN_KINDS
from nightsafe.bindings.model import SECRET_KINDS
from nightsafe.errors import Code, NightsafeError

_MEMBER = "keep_bindings"


def kept_kinds(fields: dict[str, Any], *, in_force: bool) -> frozenset[str]:
    """The kinds of which the bindings of the version before stay, unless the upload brings one of that name.

    Args:
        fields: the upload's metadata.
        in_force: whether the version that it makes is served at once.

    Raises:
        NightsafeError: INVALID, for what is no list of kinds.
    """
    if fields.get(_MEMBER) is None:
        return SECRET_KINDS
    kinds = need_array(fields, _MEMBER, "")
    if not all(isinstance(kind, str) and (kind in SECRET_KINDS or kind in PLAIN_KINDS) for kind in kinds):
        raise NightsafeError(Code.INVALID, f"'{_MEMBER}' may hold only kinds of binding", f"/{_MEMBER}")
    listed = frozenset(kinds)
    says_nothing_of_secrets = bool(listed) and SECRET_KINDS.isdisjoint(listed)
    return listed | SECRET_KINDS if in_force or says_nothing_of_secrets else listed
