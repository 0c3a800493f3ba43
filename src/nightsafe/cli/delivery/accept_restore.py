"""`nightsafe delivery accept-restore`: makes delivery trust the API's log again after an intended restore."""

import asyncio
import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from nightsafe.cli.server.delivery_options import api_options, keys_option, marks_option, ring_option
from nightsafe.cli.settings.options import data_option, json_option, option
from nightsafe.cli.terminal.confirm import confirm, yes_option
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import say, show_json
from nightsafe.errors import Code, NightsafeError

if TYPE_CHECKING:
    from nightsafe.bundle.log_proof import LogProof
    from nightsafe.delivery.cache.serials import SeenLog, Serials
    from nightsafe.delivery.source.http import HttpSource
    from nightsafe.sealing.verify_keys import VerifyKeys
    from nightsafe.store.interface import Store

_ANY_SCRIPT = "accept-restore"
"""The name in a request for a bundle. The API signs a bundle with the serial also if there is no such script."""

_PROBE: Final = 3
"""The size within a tile from which `_refuse_gaps` asks for a proof: odd, and in the first tile no power of 2."""


class _Current(NamedTuple):
    """The state of the API: the newest serial of the account, and the log with a proof from the size seen last."""

    serial: int
    proof: "LogProof"


class _Change(NamedTuple):
    """The marks of one account, and the ones that would replace them.

    Attributes:
        seen: the log seen last, or None.
        floor: the highest serial seen.
        log: the API's log.
        serial: the API's newest serial of the account.
        is_continued: whether the API's log begins with the log seen last.
        scripts: the number of scripts that have a mark.
        approved: the number of scripts that were served with an approval.
    """

    seen: "SeenLog | None"
    floor: int
    log: "SeenLog"
    serial: int
    is_continued: bool
    scripts: int
    approved: int

    @property
    def is_needed(self) -> bool:
        """Whether delivery refuses the API as it is now."""
        return not self.is_continued or self.serial < self.floor

    def losses(self) -> list[str]:
        """Return a sentence for each loss that can be known."""
        found = []
        if self.seen is not None and not self.is_continued:
            found.append(_loss(self.seen, self.log))
        if self.serial < self.floor:
            found.append(f"The highest serial seen of the account goes back from {self.floor} to {self.serial}.")
        if found and self.scripts:
            found.append(
                f"The marks of all scripts ({self.scripts}) are forgotten: delivery takes the state of each script"
                " that it sees first."
            )
        return found


@click.command("accept-restore")
@data_option
@api_options
@option("--account-id", "Account of the scripts.  [default: the oldest account, or the token's account]")
@ring_option
@keys_option
@marks_option
@click.option(
    "--forget-approvals", is_flag=True, help="Also serve versions that were approved before the ones served last."
)
@yes_option
@json_option
def command(*, forget_approvals: bool, yes: bool, as_json: bool, **values: Any) -> None:
    """Accept the API's log after an intended restore.

    Delivery refuses a log that was put back to an older state, cut or exchanged. Run this where the delivery process
    runs, while it is stopped. With the data directory of `nightsafe run` you need neither a token nor a running
    server. The command shows what was lost, and asks before it changes the marks files.
    """
    from nightsafe.cli.data_directory.directory import DataDirectory
    from nightsafe.cli.process.logs import configure_command
    from nightsafe.cli.server.delivery_process import source_from_options
    from nightsafe.sealing.verify_keys import VerifyKeys

    configure_command()
    directory = DataDirectory(values["data"])
    is_remote = values["token_file"] is not None or values["token_fd"] is not None or not directory.is_safe
    source = source_from_options(values) if is_remote else None
    verifier = VerifyKeys.load(values["verify_keys"] or directory.verify_keys)
    path = values["marks"] or (values["private_ring"] or directory.private_ring).with_name("delivery-marks.json")
    with _locked(path) as serials:
        account_id, change = (
            asyncio.run(_ask_api(source, values["account_id"], verifier, serials))
            if source is not None
            else directory.run(lambda store: _read_store(store, values["account_id"], verifier, serials))
        )
        if change.is_needed:
            for line in (*_description(change), *_approvals(change, forget=forget_approvals)):
                say(line)
            confirm(
                f"{' '.join(change.losses())} Trust this log of account {account_id} from now on?",
                yes=yes,
                advice="give --yes to accept the log",
            )
            serials.replace(account_id, change.serial, change.log, forget_approvals=forget_approvals)
    _print_result(account_id, change, as_json=as_json)


@contextmanager
def _locked(path: Path) -> "Iterator[Serials]":
    """Give the marks file, locked against delivery processes.

    Raises:
        CommandError: if a delivery process uses the file, or it does not exist.
        NightsafeError: INVALID, if it is not a marks file.
    """
    from nightsafe.delivery.cache.serials import Serials

    if not path.exists():
        raise CommandError(
            f"{path} does not exist, so no delivery process has seen anything that it could refuse; name the file of"
            " another one with --marks or --private-ring"
        )
    serials = Serials(path)
    try:
        serials.acquire()
    except NightsafeError as error:
        if error.code is not Code.UNAVAILABLE:
            raise
        raise CommandError(f"a delivery process uses {path}; stop it first") from None
    try:
        yield Serials(path)  # as it is now that nothing else writes to it
    finally:
        serials.release()


async def _ask_api(
    source: "HttpSource", account_id: str | None, verifier: "VerifyKeys", serials: "Serials"
) -> tuple[str, _Change]:
    """Compare the API with the marks. Return the account and the change.

    Raises:
        NightsafeError: UNAVAILABLE, if the API cannot be reached; CANNOT_OPEN or INVALID, if no trusted key has
            signed its answers.
    """
    from nightsafe.bundle.signed import open_bundle

    try:
        account = account_id or await source.find_account()
        bundle = open_bundle(await source.bundle(_ANY_SCRIPT), verifier)
        if bundle.account_id != account:
            raise NightsafeError(Code.INVALID, "the bundle belongs to another account")
        change = await _change(account, bundle.serial, source.log_proof, verifier, serials)
    finally:
        await source.close()
    return account, change


async def _read_store(
    store: "Store", account_id: str | None, verifier: "VerifyKeys", serials: "Serials"
) -> tuple[str, _Change]:
    """Compare a database with the marks. Return the account and the change.

    Raises:
        NightsafeError: INVALID, if the account does not exist; CANNOT_OPEN or INVALID, if no trusted key has signed
            the log.
    """
    from nightsafe.services.audit.transparency_log import TransparencyLog
    from nightsafe.services.identity.operator import find_account

    account = (await find_account(store, account_id)).id
    serial = (await store.audit_head(account)).number
    return account, await _change(account, serial, TransparencyLog(store).proof, verifier, serials)


async def _change(
    account_id: str, serial: int, log_proof: Any, verifier: "VerifyKeys", serials: "Serials"
) -> _Change:
    """Compare the newest serial and the log with the marks of an account.

    Args:
        account_id: the account.
        serial: its newest serial.
        log_proof: returns the checkpoint, with a proof from an older size.
        verifier: verifies the checkpoint's signature.
        serials: the marks.

    Raises:
        CommandError: if the log would have to be accepted, and its entries do not lead to its root.
        NightsafeError: CANNOT_OPEN or INVALID, if no trusted key has signed the checkpoint, or there is none.
    """
    from nightsafe.delivery.cache.serials import SeenLog
    from nightsafe.delivery.source.log_check import continues

    seen = serials.log(account_id)
    answer = await log_proof(seen.size if seen else 0)
    if not answer.checkpoint:
        raise NightsafeError(Code.INVALID, "the API's log has no entry yet, so there is no log to accept")
    checkpoint = verifier.open_checkpoint(answer.checkpoint)
    if serial > checkpoint.size:
        raise NightsafeError(
            Code.INVALID, f"the account has serial {serial}, but the log has only {checkpoint.size} entries"
        )
    log = SeenLog(checkpoint.origin, checkpoint.size, checkpoint.root)
    is_continued = seen is None or continues(seen, checkpoint, answer.proof)
    scripts = serials.scripts.count(account_id)
    approved = serials.count_approved(account_id)
    change = _Change(seen, serials.get(account_id), log, serial, is_continued, scripts, approved)
    if change.is_needed:
        await _refuse_gaps(checkpoint.size, log_proof, verifier)
    return change


async def _refuse_gaps(size: int, log_proof: Any, verifier: "VerifyKeys") -> None:
    """Refuse a log in which the hashes of the entries do not lead to the signed root.

    A consistency proof from an odd size is the hash of an entry, then its inclusion proof. That proof is computed
    from the hashes of all entries in the same tile, so one proof for each tile checks all entries. A log of fewer
    than four entries has no such proof.

    Args:
        size: the number of entries.
        log_proof: as for `_change`.
        verifier: as for `_change`.

    Raises:
        CommandError: with the entries of the tile.
    """
    from nightsafe.merkle.proofs import root_from_inclusion
    from nightsafe.merkle.tiles import WIDTH

    for first in range(0, size - _PROBE, WIDTH):
        answer = await log_proof(first + _PROBE)
        checkpoint = verifier.open_checkpoint(answer.checkpoint)
        leaf, *path = answer.proof or (b"",)
        if root_from_inclusion(first + _PROBE - 1, checkpoint.size, leaf, path) != checkpoint.root:
            raise CommandError(
                f"the log is not accepted: between the entries {first} and {min(first + WIDTH, size) - 1}, one is"
                " missing or was changed, so they do not lead to the log's signed root. On the API's machine, run"
                " nightsafe audit verify, and restore a backup that verifies"
            )


def _loss(seen: "SeenLog", log: "SeenLog") -> str:
    """Return what is lost with a log that does not continue the one seen last."""
    if log.origin != seen.origin:
        return f"This is another log: none of the {seen.size} entries seen before is in it."
    if log.size < seen.size:
        return f"At least {seen.size - log.size} entries of the log are lost."
    return f"The log differs before entry {seen.size}: at least one entry that was seen is lost."


def _description(change: _Change) -> list[str]:
    """Return a line for each of the two logs."""
    lines = [] if change.seen is None else [f"Last seen: {_log_line(change.seen)}"]
    return [*lines, f"Now: {_log_line(change.log)}"]


def _approvals(change: _Change, *, forget: bool) -> Iterator[str]:
    """Yield a line about the times of approvals, if there are any."""
    if change.approved and forget:
        yield f"Approvals: those of {change.approved} scripts count again, also those that newer ones replaced."
    elif change.approved:
        yield (
            f"Approvals: {change.approved} scripts were served with one, and no version that was approved earlier is"
            " served. A script that was approved again after the restored state answers 503 until you approve it, or"
            " give --forget-approvals."
        )


def _log_line(log: "SeenLog") -> str:
    """Return a log in one line."""
    return f"{log.size} entries, root {_base64(log.root)}, log {log.origin}"


def _base64(data: bytes) -> str:
    """Encode bytes in Base64."""
    return base64.b64encode(data).decode()


def _print_result(account_id: str, change: _Change, *, as_json: bool) -> None:
    """Print the result."""
    if as_json:
        result = {"account_id": account_id, "accepted": change.is_needed, "losses": change.losses()}
        show_json(result | {"entries": change.log.size, "root": _base64(change.log.root), "serial": change.serial})
    elif change.is_needed:
        say(f"Accepted. Start the delivery process again: it continues from entry {change.log.size}.")
    else:
        say(f"The log continues the one seen last, and has {change.log.size} entries. Nothing was changed.")
