"""The form of a bundle: empty members are left out, so that older readers accept it."""

import msgspec
import pytest
from msgspec import Struct

from nightsafe.bundle.model import FORMAT, Bundle


class Older(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A bundle as an older delivery process knows it."""

    format: str
    account_id: str
    namespace: str = ""
    script: str
    serial: int
    versions: tuple[msgspec.Raw, ...] = ()


def test_an_older_reader_refuses_new_members() -> None:
    """An older reader accepts a bundle without new members, and refuses one that has them."""
    plain = Bundle(account_id="a", script="s", serial=1)
    assert Older(format=FORMAT, account_id="a", script="s", serial=1) == msgspec.json.decode(
        msgspec.json.encode(plain), type=Older
    )

    for told in ({"inner": True}, {"behind": ("why",)}):
        new = msgspec.json.encode(msgspec.structs.replace(plain, **told))
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(new, type=Older)


def test_an_older_writers_bundle_is_accepted() -> None:
    """Bundles of an older writer are accepted."""
    older = Older(format=FORMAT, account_id="a", script="s", serial=1)
    decoded = msgspec.json.decode(msgspec.json.encode(older), type=Bundle)

    assert Bundle(account_id="a", script="s", serial=1) == decoded
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(msgspec.structs.replace(older, format="another")), type=Bundle)
