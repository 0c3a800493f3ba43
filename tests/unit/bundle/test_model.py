"""A bundle's form: what says nothing is left out, so that older readers take what they understand."""

import msgspec
import pytest
from msgspec import Struct

from nightsafe.bundle.model import FORMAT, Bundle


class Older(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A bundle as a delivery process knows it that was not brought up to date."""

    format: str
    account_id: str
    namespace: str = ""
    script: str
    serial: int
    versions: tuple[msgspec.Raw, ...] = ()


def test_an_older_reader() -> None:
    """Takes a bundle that says nothing new, and refuses one that does: it must not be served as if it did not."""
    plain = Bundle(account_id="a", script="s", serial=1)
    assert Older(format=FORMAT, account_id="a", script="s", serial=1) == msgspec.json.decode(
        msgspec.json.encode(plain), type=Older
    )

    for told in ({"inner": True}, {"behind": ("why",)}):
        new = msgspec.json.encode(msgspec.structs.replace(plain, **told))
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(new, type=Older)


def test_an_older_writer() -> None:
    """Is understood: its bundles have every member that there was."""
    older = Older(format=FORMAT, account_id="a", script="s", serial=1)
    decoded = msgspec.json.decode(msgspec.json.encode(older), type=Bundle)

    assert Bundle(account_id="a", script="s", serial=1) == decoded
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(msgspec.structs.replace(older, format="another")), type=Bundle)
