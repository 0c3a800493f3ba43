"""`nightsafe ring`: shows, trusts and forgets the key ring that a server offers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import click

from nightsafe.cli.settings.options import json_option
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import remote_options
from nightsafe.cli.terminal.confirm import confirm, yes_option
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import say, show_fields, show_json
from nightsafe.client import APIResponseValidationError, NotFoundError
from nightsafe.client.rings.known_rings import CannotKeepError, KnownRings, RingOwner, UnusableError, known_rings
from nightsafe.client.rings.pinning import ring_owner
from nightsafe.sealing.rings.lineage import Identity, NotFollowedError, follow


class _RingComparison(NamedTuple):
    """The ring of an account: the remembered one and the one that the server offers."""

    owner: RingOwner
    file: KnownRings
    known: Identity | None
    offered: Identity | None
    verdict: str


@click.group("ring")
def command() -> None:
    """Show or trust the server's key ring, which values are sealed to.

    Nightsafe remembers the first ring that it sees for a server and account. It refuses any other ring, unless the
    remembered ring has signed it.
    """


@command.command("show")
@remote_options
@json_option
def show(*, remote: Remote, as_json: bool) -> None:
    """Show the remembered ring and the ring that the server offers."""
    comparison = _compare_rings(remote)
    fields = {
        "server": comparison.owner.server,
        "account": comparison.owner.account,
        "known": comparison.known and comparison.known.fingerprint,
        "known_number": comparison.known and comparison.known.number,
        "offered": comparison.offered and comparison.offered.fingerprint,
        "offered_number": comparison.offered and comparison.offered.number,
        "verdict": comparison.verdict,
        "file": str(comparison.file.path),
    }
    if as_json:
        show_json(fields)
    else:
        show_fields(fields)


@command.command("trust")
@remote_options
@click.option(
    "--fingerprint",
    metavar="SHA256:…",
    help="Trust the ring without a question if it has this fingerprint, which `nightsafe keys status` shows "
    "on the server's machine.",
)
@yes_option
@json_option
def trust(*, remote: Remote, fingerprint: str | None, yes: bool, as_json: bool) -> None:
    """Remember the ring that the server offers now. It replaces the one remembered before."""
    comparison = _compare_rings(remote)
    offered = comparison.offered
    if offered is None:
        raise CommandError(
            f"{comparison.owner.server} offers no public ring to trust; check that --url names the right server"
        )
    if fingerprint is None:
        say(f"remembered: {comparison.known.fingerprint if comparison.known else 'none'}")
        say(f"offered:    {offered.fingerprint}")
        confirm("Seal values to the offered ring from now on?", yes=yes, advice="give --fingerprint, or --yes")
    elif fingerprint != offered.fingerprint:
        raise CommandError(
            f"the server offers a ring with another fingerprint, {offered.fingerprint}; nothing was changed"
        )
    with _refuse_file_errors():
        comparison.file.remember(comparison.owner, lambda _: offered)
    if as_json:
        show_json({"fingerprint": offered.fingerprint, "number": offered.number})
    else:
        click.echo(f"Remembered the ring {offered.fingerprint}.")


@command.command("forget")
@remote_options
@yes_option
@json_option
def forget(*, remote: Remote, yes: bool, as_json: bool) -> None:
    """Forget the ring of this server and account. The next ring that the server offers is trusted unchecked."""
    owner, file = ring_owner(remote.client.base_url, remote.account_id), _known_rings_file()
    confirm("The server's next answer is then trusted: any ring, or no ring at all. Go on?", yes=yes)
    with _refuse_file_errors():
        forgotten = file.forget(owner)
    if as_json:
        show_json({"forgotten": forgotten})
    else:
        click.echo("Forgot the ring." if forgotten else "There was no ring to forget.")


def _compare_rings(remote: Remote) -> _RingComparison:
    """Read the remembered ring and fetch the offered one."""
    from nightsafe.sealing.rings.public_ring import PublicRing  # loads cryptography

    owner, file = ring_owner(remote.client.base_url, remote.account_id), _known_rings_file()
    with _refuse_file_errors():
        known = file.get(owner)
    try:
        offer = remote.client.offered_ring(remote.account_id)
    except (NotFoundError, APIResponseValidationError):
        return _RingComparison(
            owner, file, known, None, "the server offers none" if known is None else "the server no longer offers one"
        )
    ring = PublicRing.decode(offer.ring, "the server's ring").with_proof(offer.proof)
    try:
        followed = known and follow(known, ring.identity, ring.lineage.links)
        verdict = "new" if known is None else "known" if followed == known else "signed by the known ring"
    except NotFollowedError as error:
        verdict = str(error)
    return _RingComparison(owner, file, known, ring.identity, verdict)


def _known_rings_file() -> KnownRings:
    """Return the file of remembered rings.

    Raises:
        CommandError: if rings are remembered in memory only.
    """
    file = known_rings(None)
    if file is None:
        raise CommandError(
            "NIGHTSAFE_KNOWN_RINGS switches the file of remembered rings off; unset it, or set it to a file"
        )
    return file


@contextmanager
def _refuse_file_errors() -> Iterator[None]:
    """Turn errors of the file into refusals."""
    try:
        yield
    except (UnusableError, CannotKeepError) as error:
        raise CommandError(str(error)) from None
