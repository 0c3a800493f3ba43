"""Lists the compatibility flags that a workerd binary knows: `python tools/runtime_flags.py BINARY`.

Prints the pairs of flags that contradict each other, the flags without a counterpart, and the experimental flags, for
`src/nightsafe/bundle/runtime_flags.py`. The tool puts every string of the binary that looks like a flag into a
configuration. The runtime then reports the flags that it does not know, the pairs that contradict each other, and the
experimental flags.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

CANDIDATE = re.compile(rb"(?<![A-Za-z0-9_])[a-z][a-z0-9_]{2,80}(?=\x00)")
UNKNOWN = re.compile(r"No such compatibility flag: (\S+)")
EXPERIMENTAL = re.compile(r"The compatibility flag (\S+) is experimental")
CONTRADICTORY = re.compile(r"contradictory: (\S+) vs (\S+)")
_CONFIG = """using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (services = [(name = "main", worker = (
  modules = [(name = "a.js", esModule = "export default {fetch(){}}")],
  compatibilityDate = "%s", compatibilityFlags = %s))]);
"""


def ask(binary: Path, flags: list[str], date: str = "2021-11-02", *, experimental: bool = True) -> str:
    """Return the runtime's output for a Worker with these flags. It must refuse at least one of them.

    Args:
        binary: the workerd binary.
        flags: the names of the flags.
        date: the compatibility date.
        experimental: whether experimental flags are allowed. They are never allowed in dynamically loaded scripts.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "flags.capnp"
        config.write_text(_CONFIG % (date, json.dumps(flags)))
        command = [str(binary), "serve", *(["--experimental"] if experimental else []), str(config)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def known(binary: Path, candidates: list[str]) -> tuple[dict[str, str], list[str]]:
    """Return the contradictory pairs among some words, and the flags without a counterpart."""
    said = ask(binary, [*candidates, "no_such_flag_at_all"])
    unknown = set(UNKNOWN.findall(said))
    pairs = dict(CONTRADICTORY.findall(said))
    paired = {*pairs, *pairs.values()}
    return pairs, [flag for flag in candidates if flag not in unknown | paired]


def experimental(binary: Path, candidates: list[str]) -> set[str]:
    """Return the flags among some words that a dynamically loaded script cannot have."""
    return set(EXPERIMENTAL.findall(ask(binary, [*candidates, "no_such_flag_at_all"], experimental=False)))


def main(binary: Path) -> None:
    """Print the flags that the binary knows."""
    words = sorted({match.decode() for match in CANDIDATE.findall(binary.read_bytes())})
    pairs, single = known(binary, words)
    for flag, opposite in sorted(pairs.items()):
        sys.stdout.write(f"{flag} {opposite}\n")
    refused = experimental(binary, words)
    for flag in single:
        if flag not in refused:
            sys.stdout.write(f"{flag}\n")
    for flag in sorted(refused):
        sys.stdout.write(f"experimental: {flag}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
