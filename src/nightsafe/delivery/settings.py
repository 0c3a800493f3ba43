"""How the delivery side is set up."""

from pathlib import Path

from msgspec import Struct

from nightsafe.delivery.supervisor import Limits


class Settings(Struct, frozen=True, kw_only=True):
    """What an operator can choose.

    Attributes:
        account_id: whose scripts are served.
        folder: a directory for sockets; made when it is not there. Its path must be short.
        marks: file of the highest serials seen.
        binary: workerd.
        domains: what host names of scripts end in.
        script_header: whether a request may name its script in the header `nightsafe-script`: for tests.
        worker_output: whether what scripts print goes to this process's stderr. They may print their secrets.
        reach_private: whether scripts may fetch from this machine and private networks: for development.
        max_loaded: scripts that are loaded at once; who was idle longest makes room.
        limits: of the runtime's process.
    """

    account_id: str
    folder: Path
    marks: Path
    binary: Path
    domains: tuple[str, ...] = ("localhost",)
    script_header: bool = False
    worker_output: bool = False
    reach_private: bool = False
    max_loaded: int = 1000
    limits: Limits = Limits()
