"""`nightsafe audit verify`: compares a database with its log, and the log with its signatures."""

import sys
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Final

import click
import msgspec
from click.core import ParameterSource

from nightsafe.audit.exports.joined import Archives, VerifiedExports, verify_exports
from nightsafe.audit.exports.json_lines import MAX_LINE, Export
from nightsafe.audit.verification.database_check import Verified
from nightsafe.audit.verification.difference import DifferenceError, counted
from nightsafe.audit.verification.log_check import Report, read_head
from nightsafe.audit.verification.mac_check import check_macs
from nightsafe.cli.audit.archive_files import archive_option, open_archives
from nightsafe.cli.audit.database_source import (
    backup_option,
    load_keys,
    open_log,
    read_checkpoint,
    verify_keys_option,
)
from nightsafe.cli.audit.database_verification import describe, verify_with_progress
from nightsafe.cli.audit.given_file import EXPORT, refuse_other
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.safe.archive import STREAM
from nightsafe.cli.safe.database_copy import integrity_problems
from nightsafe.cli.settings.options import FILE, data_option, json_option
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import say, show_json
from nightsafe.cli.terminal.progress import byte_bar
from nightsafe.errors import NightsafeError
from nightsafe.merkle.checkpoint import Checkpoint
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.sealing.verify_keys import VerifyKeys

_FAILED: Final = 1


@click.command("verify")
@click.argument("export", type=FILE, required=False)
@data_option
@backup_option
@verify_keys_option
@archive_option
@click.option("--part", is_flag=True, help="Accept an EXPORT that lacks entries, for example one archive of several.")
@click.option("--from", "known", type=FILE, help="File with an earlier checkpoint, which the log must continue.")
@json_option
def command(  # noqa: PLR0913 - one for each option
    *,
    export: Path | None,
    data: Path,
    backup: Path | None,
    verify_keys: Path | None,
    known: Path | None,
    archives: tuple[Path, ...],
    part: bool,
    as_json: bool,
) -> None:
    """Compare the database with the log, and check the log.

    The command checks the data directory (also while it is served), a backup, or EXPORT, a file of `audit export`;
    `-` reads that from standard input. It needs the public verification keys alone, and no server. With the identity
    key of the data directory it also checks MACs. It checks the whole log. It also compares every version,
    binding, deployment, value, item, token and user of a database with what the log says. If something differs, it
    names the first difference and exits with 1.
    """
    if sum((export is not None, backup is not None, _is_given("data"))) > 1:
        raise click.UsageError("give only one of EXPORT, --backup and --data")
    keys = load_keys(data, verify_keys, needs_own=export is not None or backup is not None)
    if verify_keys is None:
        say(
            "The keys are those of the data directory. Anyone who can change the database may have exchanged them"
            " too: to exclude that, give --verify-keys with a copy from elsewhere."
        )
    checkpoint = read_checkpoint(known, keys)
    try:
        if export is not None:
            exported = _verify_export(export, archives, keys, checkpoint)
            if not (part or exported.is_whole):
                raise _missing(exported)
            fields = {"entries": exported.end - exported.first, "first": exported.first, "size": exported.size}
            _report({**fields, "whole": exported.is_whole}, _sentence_of_export(exported), as_json=as_json)
        else:
            identity_key = _identity_key(data) if backup is None else None
            verified = _verify_database(data, backup, archives, keys, checkpoint, identity_key)
            with_macs = identity_key is not None
            sentence = _sentence(verified, with_macs=with_macs)
            _report({**msgspec.to_builtins(verified), "macs_checked": with_macs}, sentence, as_json=as_json)
    except DifferenceError as difference:
        _report_difference(difference, as_json=as_json)
        sys.exit(_FAILED)


def _is_given(name: str) -> bool:
    """Return whether an option is on the command line."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def _identity_key(data: Path) -> IdentityKey | None:
    """Return the identity key of a data directory; None, with a line that says why, if it cannot be used."""
    try:
        return IdentityKey.load(DataDirectory(data).identity_key)
    except NightsafeError as error:
        say(f"The identity key cannot be used: {error.problems[0].detail}")
        return None


def _verify_database(  # noqa: PLR0913, PLR0917 - what a verification needs
    data: Path,
    backup: Path | None,
    paths: tuple[Path, ...],
    keys: VerifyKeys,
    known: Checkpoint | None,
    identity_key: IdentityKey | None,
) -> Verified:
    """Verify the database of a data directory or a backup, with the MACs if there is a key for them."""
    with open_log(data, backup, "verification") as database:
        problems = integrity_problems(database.db, thorough=True)
        if problems:
            raise CommandError(f"the database is damaged: {problems[0]}; restore a backup: nightsafe restore")
        archives = Archives(open_archives(paths, keys), read_head(database.db).origin) if paths else None
        verified = verify_with_progress(database, keys, known, archives)
        if archives is not None:
            archives.check_rest()
        if identity_key is not None:
            check_macs(database.db, identity_key)
        return verified


def _verify_export(
    path: Path, archives: tuple[Path, ...], keys: VerifyKeys, known: Checkpoint | None
) -> VerifiedExports:
    """Verify an export, in a file or on standard input, with the given archives."""
    if path == STREAM:
        with open(sys.stdin.fileno(), "rb", closefd=False) as file:
            export = Export(_lines(path, file, _ignore), keys)
            return verify_exports([export, *open_archives(archives, keys)], known, _ignore)
    with path.open("rb") as file, byte_bar(path.stat().st_size, "Verifying") as report:
        export = Export(_lines(path, file, report), keys)
        return verify_exports([export, *open_archives(archives, keys)], known, _ignore)


def _ignore(_: int) -> None:
    """Report no progress."""


def _lines(path: Path, file: BufferedReader, report: Report) -> Iterator[bytes]:
    """Yield the lines of a file; refuse another file, and a line that is longer than any line of an export."""
    refuse_other(path, file.peek(), EXPORT)
    while line := file.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            raise CommandError(f"{path} is not an export of an audit log: it has a line of over {MAX_LINE} bytes")
        report(len(line))
        yield line


def _sentence(verified: Verified, *, with_macs: bool) -> str:
    """Return the result in words."""
    macs = "" if with_macs else "; MACs were not checked, because that needs keys/identity-key.json of the safe"
    return f"{describe(verified)}{macs}"


def _missing(exported: VerifiedExports) -> DifferenceError:
    """Return the difference for an export without entries that are not archived."""
    first, end, size, archived = exported
    missing = (archived, first) if first > archived else (end, size)
    entries = f"entries {missing[0]} to {missing[1] - 1}" if missing[1] - missing[0] > 1 else f"entry {missing[0]}"
    advice = "give the other files with --archive; if it is meant to be a part of the log, give --part"
    return DifferenceError(f"the given files lack the {entries} of {size}", advice, entry=missing[0])


def _sentence_of_export(exported: VerifiedExports) -> str:
    """Return the result for an export in words."""
    first, end, size, _ = exported
    if end - first == size:
        return f"{counted(size, 'entry')}: all as the checkpoint says"
    words = f"{end - first} of {counted(size, 'entry')}, from entry {first} on: all as the checkpoint says"
    return f"{words}. The others are not in the given files: give archives with --archive"


def _report(fields: dict[str, object], sentence: str, *, as_json: bool) -> None:
    """Print a result."""
    if as_json:
        show_json({"verified": True, **fields, "difference": None})
    else:
        click.echo(sentence)


def _report_difference(difference: DifferenceError, *, as_json: bool) -> None:
    """Print a difference."""
    if as_json:
        fields = {"what": difference.what, "advice": difference.advice, "entry": difference.entry}
        show_json({"verified": False, "difference": fields})
        return
    say(f"nightsafe: {difference.what}")
    say(f"What to do: {difference.advice}")
