"""The directory of a witness: its key, its list of logs, and the checkpoints that it has cosigned."""

from pathlib import Path

import click

from nightsafe.audit.witness.key import WitnessKey
from nightsafe.audit.witness.logs import read_logs
from nightsafe.audit.witness.state import WitnessState
from nightsafe.audit.witness.witness import Logs
from nightsafe.cli.data_directory.ownership import refuse_unsafe
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing import files

folder_option = click.option(
    "--dir",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of the witness.",
)

_NEW_LIST = b"# The logs to cosign: one verifier key a line, ORIGIN+ID+KEY.\n"


class WitnessFolder:
    """A witness's directory.

    Args:
        path: the directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.key_file = path / "witness-key.json"
        self.logs_file = path / "logs.txt"

    def create(self, name: str) -> WitnessKey:
        """Create the directory with a new key and an empty list of logs.

        Raises:
            NightsafeError: INVALID, if there is a witness already, or the directory cannot be used.
        """
        refuse_unsafe(self.path)
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise NightsafeError(Code.INVALID, f"{self.path} cannot be created: {error.strerror}") from None
        key = WitnessKey.generate(name)
        key.save(self.key_file)
        if not self.logs_file.exists():
            files.write(self.logs_file, _NEW_LIST, private=False, replace=False)
        return key

    def key(self) -> WitnessKey:
        """Return the witness's key.

        Raises:
            NightsafeError: INVALID, if there is no witness in the directory, or the key cannot be used.
        """
        refuse_unsafe(self.path)
        if not self.key_file.exists():
            raise NightsafeError(
                Code.INVALID,
                f"there is no witness in {self.path}; create one with: nightsafe audit witness init --dir {self.path}"
                " --name NAME",
            )
        return WitnessKey.load(self.key_file)

    def logs(self) -> Logs:
        """Return the keys of the accepted logs.

        Raises:
            NightsafeError: INVALID, with the file and the line.
        """
        return read_logs(self.logs_file)

    def state(self, key: WitnessKey) -> WitnessState:
        """Return the checkpoints that the witness has cosigned."""
        return WitnessState(self.path, key.verifier_key)
