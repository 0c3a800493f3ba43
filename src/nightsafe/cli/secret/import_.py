"""`nightsafe secret import`: imports secrets from a file, Vault or OpenBao."""

import json
from collections.abc import Sequence
from fnmatch import fnmatchcase

import click

from nightsafe.cli.secret.losses import confirm_known
from nightsafe.cli.secret.sources.declared import Declared, check_declared, read_declared, text_fields
from nightsafe.cli.secret.sources.vault import SCHEMES, Kv
from nightsafe.cli.secret.writing import FingerprintOptions, put_options, write_in_parts
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import say, show_json
from nightsafe.cli.terminal.progress import step_bar


@click.command("import")
@click.argument("source")
@click.option(
    "--only",
    metavar="GLOB",
    multiple=True,
    help="Import only secrets with matching names. Repeatable.  [default: all]",
)
@click.option("--overwrite", is_flag=True, help="Replace existing secrets.  [default: keep them]")
@click.option("--dry-run", is_flag=True, help="Show what would be imported but send nothing.")
@put_options
def command(  # noqa: PLR0913 - one for each option
    *,
    remote: Remote,
    source: str,
    only: tuple[str, ...],
    overwrite: bool,
    dry_run: bool,
    yes: bool,
    fingerprints: FingerprintOptions,
    as_json: bool,
) -> None:
    """Import secrets from a file, Vault or OpenBao.

    SOURCE is `.dev.vars`, `.env`, a JSON file, `-` for standard input, `vault:MOUNT/PATH` or `bao:MOUNT/PATH`. A path
    imports the members of one secret. With a slash at its end, it imports the members of all secrets below it, each
    named `path_MEMBER` with `_` in place of `/`. VAULT_ADDR and VAULT_TOKEN, or BAO_ADDR and BAO_TOKEN, name the
    server.

    More than 100 secrets make several versions, in the order of their names. If the command was interrupted, run it
    again to continue.
    """
    key = fingerprints.key()
    chosen = {
        name: fields
        for name, fields in _read(source, plain_http=remote.plain_http).items()
        if fields is not None and _matches(name, only)
    }
    listed = list(remote.client.workers.scripts.secrets.list(remote.script, account_id=remote.account_id))
    existing = set() if overwrite else {secret.name for secret in listed}
    changes: Declared = {name: chosen[name] for name in sorted(chosen.keys() - existing)}
    if not dry_run:
        confirm_known(remote.script, changes, listed, yes=yes)
        write_in_parts(remote, changes, key)
    kept = sorted(chosen.keys() & existing)
    if as_json:
        show_json({"script": remote.script, "put": list(changes), "kept": kept, "dry_run": dry_run})
        return
    for name in kept:
        say(f"Kept the existing {name}; --overwrite replaces it")
    say(f"{'Would import' if dry_run else 'Imported'} {', '.join(changes) or 'nothing'} to {remote.script}")


def _matches(name: str, only: Sequence[str]) -> bool:
    """Return whether a name matches one of the globs."""
    return not only or any(fnmatchcase(name, glob) for glob in only)


def _read(source: str, *, plain_http: bool) -> Declared:
    """Read the secrets from the source."""
    scheme, colon, path = source.partition(":")
    if not colon or scheme not in SCHEMES:
        return read_declared(source)
    if not path.strip("/"):
        raise CommandError(f"name a mount and a path, for example {scheme}:secret/my-app")
    kv = Kv(scheme, path, plain_http=plain_http)
    try:
        declared = _members(kv, source)
    finally:
        kv.close()
    check_declared(declared, source)
    return declared


def _members(kv: Kv, source: str) -> Declared:
    """Return the members of all chosen secrets. A member that is not a string becomes JSON."""
    paths = kv.paths()
    declared: Declared = {}
    with step_bar(paths, "Reading") as reading:
        for path in reading:
            prefix = f"{path.replace('/', '_')}_" if source.endswith("/") else ""
            for member, content in kv.read(path).data.items():
                name = prefix + member
                if name in declared:
                    raise CommandError(f"{source}: two secrets would both be called {name!r}; import them one by one")
                declared[name] = text_fields(
                    content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
                )
    return declared
