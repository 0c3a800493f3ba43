"""`nightsafe store grants`: prints the rights that the serving role needs."""

from pathlib import Path

import click

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.settings.options import check_text, data_option, json_option
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import show_json


@click.command("grants")
@data_option
@click.option(
    "--role", default="nightsafe", show_default=True, callback=check_text, help="The name of the role that serves."
)
@json_option
def command(data: Path, role: str, *, as_json: bool) -> None:
    """Print the SQL that gives the serving role its rights.

    The owner of the tables runs it, after init and after each migrate. With these rights a role reads every table and
    adds to the log. It cannot change or delete what is in the log, nor change the form of a table. The commands init,
    migrate, restore, audit archive and token refused-rows need the owner itself.
    """
    from nightsafe.store.postgres.engine.grants import grants

    address = DataDirectory(data).address
    if address is None:
        raise CommandError(f"{data} has no safe in PostgreSQL; name its database with --store")
    sql = grants(role, address.database)
    if as_json:
        show_json({"role": role, "database": address.database, "sql": sql})
    else:
        click.echo(sql)
