"""`nightsafe ring`: the ring that a server offers, and the one that is remembered of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import click

from nightsafe.cli.settings.options import json_option
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import remote_options
from nightsafe.cli.terminal.confirm import confirm, yes_option
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import fields_table, say, show_json
from nightsafe.client import APIResponseValidationError, NotFoundError
from nightsafe.client.rings.known_rings import CannotKeepError, KnownRings, UnusableError, Whose, known_rings
from nightsafe.client.rings.pinning import whose_ring
from nightsafe.sealing.rings.lineage import Identity, NotFollowedError, follow


class _Found(NamedTuple):
    """The ring of an account, as it is known and as it is offered."""

    whose: Whose
    file: KnownRings
    known: Identity | None
    offered: Identity | None
    verdict: str


@click.group("ring")
def command() -> None:
    """Show and trust the ring that values are sealed to.

    The first ring that is seen of a server and account is remembered. Another one is refused, unless the one that is
    known has signed it.
    """


@command.command("show")
@remote_options
@json_option
def show(*, remote: Remote, as_json: bool) -> None:
    """Show the ring that is known, and the one that the server offers."""
    found = _look(remote)
    shown = {
        "server": found.whose.server,
        "account": found.whose.account,
        "known": found.known and found.known.fingerprint,
        "known_number": found.known and found.known.number,
        "offered": found.offered and found.offered.fingerprint,
        "offered_number": found.offered and found.offered.number,
        "verdict": found.verdict,
        "file": str(found.file.path),
    }
    if as_json:
        show_json(shown)
    else:
        fields_table(shown)


@command.command("trust")
@remote_options
@click.option(
    "--fingerprint", metavar="SHA256:…", help="As `nightsafe keys status` shows it at the safe; asks nothing."
)
@yes_option
@json_option
def trust(*, remote: Remote, fingerprint: str | None, yes: bool, as_json: bool) -> None:
    """Remember the ring that the server offers now, in the place of the one that is known."""
    found = _look(remote)
    offered = found.offered
    if offered is None:
        raise CommandError(f"{found.whose.server} offers no public ring")
    if fingerprint is None:
        say(f"known:   {found.known.fingerprint if found.known else 'none'}")
        say(f"offered: {offered.fingerprint}")
        confirm("Seal values to the offered ring from now on?", yes=yes, unasked="give --fingerprint, or --yes")
    elif fingerprint != offered.fingerprint:
        raise CommandError(f"the server offers another ring than that: {offered.fingerprint}; nothing was changed")
    with _usable():
        found.file.keep(found.whose, lambda _: offered)
    if as_json:
        show_json({"fingerprint": offered.fingerprint, "number": offered.number})
    else:
        click.echo(f"{offered.fingerprint} is known from now on.")


@command.command("forget")
@remote_options
@yes_option
@json_option
def forget(*, remote: Remote, yes: bool, as_json: bool) -> None:
    """Remember no ring of the server and account any more: the next one that is seen is believed."""
    whose, file = whose_ring(remote.client.base_url, remote.account_id), _file()
    confirm("The next ring that the server offers, or that it offers none, is believed then. Go on?", yes=yes)
    with _usable():
        done = file.forget(whose)
    if as_json:
        show_json({"forgotten": done})
    else:
        click.echo("It is forgotten." if done else "None was known.")


def _look(remote: Remote) -> _Found:
    """What is known and what is offered."""
    from nightsafe.sealing.rings.public_ring import PublicRing  # noqa: PLC0415 - loads cryptography

    whose, file = whose_ring(remote.client.base_url, remote.account_id), _file()
    with _usable():
        known = file.get(whose)
    try:
        offer = remote.client.offered_ring(remote.account_id)
    except (NotFoundError, APIResponseValidationError):
        return _Found(whose, file, known, None, "there is none" if known is None else "it is gone")
    ring = PublicRing.decode(offer.ring, "the server's ring").proven(offer.proof)
    try:
        followed = known and follow(known, ring.identity, ring.lineage.links)
        verdict = "new" if known is None else "known" if followed == known else "came of the known one"
    except NotFollowedError as error:
        verdict = str(error)
    return _Found(whose, file, known, ring.identity, verdict)


def _file() -> KnownRings:
    """The file of known rings.

    Raises:
        CommandError: when rings are remembered in memory only.
    """
    file = known_rings(None)
    if file is None:
        raise CommandError("NIGHTSAFE_KNOWN_RINGS says that no ring is remembered; unset it, or name a file")
    return file


@contextmanager
def _usable() -> Iterator[None]:
    """The file's troubles as refusals."""
    try:
        yield
    except (UnusableError, CannotKeepError) as error:
        raise CommandError(str(error)) from None
