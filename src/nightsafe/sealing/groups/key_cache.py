"""Decapsulates the keys of groups, once for each group. Only code that opens values imports this module."""

from collections import OrderedDict
from typing import Final

from nightsafe.sealing.groups.derivation import group_info
from nightsafe.sealing.record import GROUP_ID_SIZE
from nightsafe.sealing.rings.private_ring import PrivateKey
from nightsafe.sealing.rings.public_ring import HPKE
from nightsafe.secret_value import SecretValue

CACHED_GROUPS: Final = 256


class GroupKeyCache:
    """The keys of the groups that were opened last.

    A key is found by the key id and all bytes of the group: its id, the encapsulated key and the sealed key. So a
    cached key is returned only for input that decapsulates to it.
    """

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: Final[OrderedDict[tuple[str, bytes], SecretValue]] = OrderedDict()

    def open(self, key: PrivateKey, group: bytes) -> SecretValue:
        """Return a group's key, for use until the next call. The cache wipes it.

        Args:
            key: the private key that the group is sealed to.
            group: the group as a sealed value carries it.

        Raises:
            InvalidTag: when the group does not open.
            ValueError: when the encapsulated key is not valid.
        """
        known = self._keys.get((key.id, group))
        if known is not None:
            self._keys.move_to_end((key.id, group))
            return known
        info = group_info(key.id, group[:GROUP_ID_SIZE])
        opened = SecretValue(HPKE[key.public.suite].decrypt(group[GROUP_ID_SIZE:], key.loaded, info))
        self._keys[key.id, group] = opened
        if len(self._keys) > CACHED_GROUPS:
            self._keys.popitem(last=False)[1].wipe()
        return opened

    def forget(self) -> None:
        """Wipe all keys."""
        while self._keys:
            self._keys.popitem()[1].wipe()
