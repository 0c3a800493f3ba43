"""Makes the data directory of a further API node. The private ring never gets into it."""

from dataclasses import replace
from pathlib import Path

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.data_directory.ownership import refuse_unsafe
from nightsafe.cli.data_directory.placement import new_safe, safe_parts
from nightsafe.cli.data_directory.recovery import recover_and_lock
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing import files
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKey, VerifyKeys


def make_node(safe: DataDirectory, output: Path, name: str) -> tuple[VerifyKey, VerifyKeys]:
    """Make the data directory of a node, all or nothing.

    If an interrupted command has made it already, its key is returned.

    Args:
        safe: the data directory whose key files the node gets.
        output: the node's data directory; free, or empty.
        name: the node's name.

    Returns:
        The node's key, and all keys of the safe with it.

    Raises:
        NightsafeError: INVALID, if a file cannot be used, or the path is taken or cannot be created.
    """
    refuse_unsafe(output)
    listed = VerifyKeys.load(safe.verify_keys)
    with recover_and_lock(output) as place:
        made = _made_before(safe, DataDirectory(place), name)
        if made is not None:
            return made, listed.with_key(made)
        if safe_parts(place) if place.is_dir() else place.exists() or output.is_symlink():
            raise NightsafeError(Code.INVALID, f"{output} already exists; name a free directory with --output")
        try:
            with new_safe(place, "init", inside=place.is_dir()) as new:
                key, keys = _fill(safe, DataDirectory(new.path), listed, name)
                new.put_in_place()
        except OSError as error:
            raise NightsafeError(Code.INVALID, f"{output} cannot be created: {error.strerror}") from None
    return key, keys


def _made_before(safe: DataDirectory, node: DataDirectory, name: str) -> VerifyKey | None:
    """Return the key of the safe's node with this name whose data directory this is; None if it is something else."""
    if not node.signing_key.exists() or not node.verify_keys.exists() or not node.identity_key.exists():
        return None
    if IdentityKey.load(node.identity_key).id != IdentityKey.load(safe.identity_key).id:
        return None
    key = VerifyKeys.load(node.verify_keys).get(SigningKey.load(node.signing_key).id)
    return key if key is not None and key.name == name else None


def _fill(safe: DataDirectory, node: DataDirectory, listed: VerifyKeys, name: str) -> tuple[VerifyKey, VerifyKeys]:
    """Write the files of a node: a signing key of its own, and copies of everything that all nodes share."""
    signing_key = SigningKey.generate()
    key = replace(signing_key.verify_key, name=name)
    keys = listed.with_key(key)
    node.signing_key.parent.mkdir(mode=0o700)
    signing_key.save(node.signing_key)
    keys.save(node.verify_keys)
    PublicRing.load(safe.public_ring).save(node.public_ring)
    IdentityKey.load(safe.identity_key).save(node.identity_key)
    if safe.store_url.exists():
        address = files.read(safe.store_url, private=True)
        files.write(node.store_url, address, private=True, replace=False)
    return key, keys
