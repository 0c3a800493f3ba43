"""One version of a script as workerd takes it, with every value opened."""

from collections.abc import Mapping

from nightsafe.bundle.model import Bundle, BundleVersion
from nightsafe.delivery.load.compatibility import Compatibility
from nightsafe.delivery.load.environment import Environment
from nightsafe.delivery.load.frame import Frame, wipe
from nightsafe.delivery.load.modules import Modules
from nightsafe.sealing.interfaces import NamedOpener


def build_load(
    bundle: Bundle, version: BundleVersion, contents: Mapping[bytes, bytes], opener: NamedOpener
) -> bytearray:
    """Open a version's values and pack them with its modules.

    Args:
        bundle: the bundle that the version is of; it says where each value belongs.
        version: what to load; `support.check` has passed it.
        contents: of its modules, by SHA-256.
        opener: opens the values.

    Returns:
        The load, with values in it: wipe it once it is sent.

    Raises:
        NightsafeError: CANNOT_OPEN, with the name of a binding whose value does not open; UNSUPPORTED, when the
            values are more than workerd takes.
    """
    packing = Frame()
    compatibility = Compatibility.of(version)
    files = {module.name: contents[module.digest] for module in version.modules}
    try:
        Environment(packing, bundle, version, files, opener).fill()
        main = Modules(packing, version, files, compatibility).add()
    except BaseException:
        wipe(packing.body)
        raise
    return packing.pack(
        compatibility_date=compatibility.date,
        compatibility_flags=compatibility.flags,
        main_module=main,
    )
