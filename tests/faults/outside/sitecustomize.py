"""Loaded by every interpreter that has this folder in its path: its disk fails as the folder DISK_FAULTS says."""

import os
from pathlib import Path

from tests.faults.disk import DiskByFiles

DISK = DiskByFiles(Path(os.environ["DISK_FAULTS"]))
DISK.__enter__()
