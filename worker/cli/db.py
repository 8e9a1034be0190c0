"""`moodsort db`: the schema of the database."""

from pathlib import Path

import click

from worker.cli.options import config_option
from worker.config import load_config
from worker.store.address import describe_address
from worker.store.read_connection import read_revision
from worker.store.revision import HEAD, RevisionState, compare_revision


@click.group()
def db() -> None:
    """Maintain the database."""


@db.command()
@config_option
def upgrade(config_file: Path | None) -> None:
    """Bring the database up to date, after a backup of an SQLite file; `moodsort run` does so too."""
    # Imported here: `db current` does not need SQLAlchemy.
    from worker.store.writer import open_store

    url = load_config(config_file).database.url
    open_store(url).close()
    click.echo(f"{describe_address(url)}: at revision {HEAD}, the newest that this moodsort knows")


@db.command()
@config_option
def current(config_file: Path | None) -> None:
    """Show the revision of the database's schema, and whether it is the one that this moodsort knows."""
    url = load_config(config_file).database.url
    revision = read_revision(url)
    sentence = {
        RevisionState.EMPTY: "holds no log yet; `moodsort run` or `moodsort db upgrade` makes one",
        RevisionState.OLDER: f"at revision {revision}; `moodsort db upgrade` brings it to {HEAD}",
        RevisionState.CURRENT: f"at revision {revision}, the newest that this moodsort knows",
        RevisionState.NEWER: f"at revision {revision}; this moodsort knows {HEAD}, upgrade it",
    }
    click.echo(f"{describe_address(url)}: {sentence[compare_revision(revision)]}")
