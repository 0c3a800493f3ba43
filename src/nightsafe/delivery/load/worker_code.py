"""Builds the load of one version of a script for workerd, with every value opened."""

from collections.abc import Mapping

from nightsafe.bundle.model import Bundle, BundleVersion
from nightsafe.delivery.load.compatibility import Compatibility
from nightsafe.delivery.load.environment import Environment
from nightsafe.delivery.load.frame import Frame, wipe
from nightsafe.delivery.load.modules import Modules
from nightsafe.sealing.interfaces import Opener


def build_load(bundle: Bundle, version: BundleVersion, contents: Mapping[bytes, bytes], opener: Opener) -> bytearray:
    """Open a version's values and pack them with its modules.

    Args:
        bundle: the version's bundle; it names the place that each value was sealed for.
        version: the version to load; `check_servable` of `bundle.compatibility` has accepted it.
        contents: the contents of its modules, by SHA-256.
        opener: opens the values.

    Returns:
        The load, with values in it: wipe it after it is sent.

    Raises:
        NightsafeError: CANNOT_OPEN, with the name of a binding whose value does not open; UNSUPPORTED, when the
            values are larger than workerd accepts.
    """
    frame = Frame()
    compatibility = Compatibility.for_version(version)
    files = {module.name: contents[module.digest] for module in version.modules}
    try:
        Environment(frame, bundle, version, files, opener).fill()
        main = Modules(frame, version, files, compatibility).add()
    except BaseException:
        wipe(frame.body)
        raise
    return frame.pack(
        compatibility_date=compatibility.date,
        compatibility_flags=compatibility.flags,
        main_module=main,
    )
