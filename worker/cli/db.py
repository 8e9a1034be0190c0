"""`moodsort db`: the database, its schema and its copies."""

from datetime import UTC, datetime
from pathlib import Path

import click

from worker.cli.moments import parse_start
from worker.cli.options import config_option
from worker.cli.questions import confirm, yes_option
from worker.config import load_config
from worker.paths import escape_unprintable, format_path
from worker.store.address import describe_address
from worker.store.read_connection import read_revision
from worker.store.revision import HEAD, RevisionState, compare_revision

_LOCK_SECONDS = 10.0
"""How long to wait for another program that has the database locked."""


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


@db.command()
@click.argument("path", type=click.Path(path_type=Path))
@config_option
def backup(path: Path, config_file: Path | None) -> None:
    """Copy the log to a new file, PATH, also while a worker is running.

    The copy is whole and on the disk when this ends, or is not there. It takes the place of the database when
    you want it back. A PostgreSQL server has pg_dump for this; the error says with what options.
    """
    from worker.store.backup import back_up_log

    url = load_config(config_file).database.url
    back_up_log(url, path)
    click.echo(f"{describe_address(url)}: copied to {escape_unprintable(format_path(path))}")


@db.command()
@click.argument("revision", metavar="REVISION")
@yes_option
@config_option
def downgrade(revision: str, is_sure: bool, config_file: Path | None) -> None:
    """Take the schema back to an older REVISION, such as 0003, for an older moodsort.

    An SQLite file is backed up first. No worker may be running. What is lost is said before, and a
    terminal is asked whether to go on.
    """
    from worker.daemon.locks import keep_workers_off
    from worker.store.backup import make_dump_command
    from worker.store.engine import connect, translate_start_errors
    from worker.store.upgrade import downgrade_schema, list_losses

    config = load_config(config_file)
    url, where = config.database.url, describe_address(config.database.url)
    for loss in list_losses(read_revision(url), revision, where):
        click.echo(loss, err=True)
    if config.database_file is None:
        dump_command = make_dump_command(url, Path("moodsort.dump"))
        click.echo(f"A server's database is not backed up here; first type: {dump_command}", err=True)
    confirm(f"Take {where} back to revision {revision}?", is_sure)
    with keep_workers_off(config), translate_start_errors(where):
        downgrade_schema(connect(url, _LOCK_SECONDS), url, revision)
    click.echo(f"{where}: at revision {revision}; `moodsort db upgrade` brings it to {HEAD} again")


@db.command()
@click.option(
    "--older-than",
    required=True,
    metavar="MOMENT",
    help="Photos that came before: how long ago, as 2y or 90d, or a date, as 2024-01-01.",
)
@click.option(
    "--archive",
    required=True,
    type=click.Path(path_type=Path),
    help="The SQLite file to make, which gets their rows.",
)
@click.option("--dry-run", is_flag=True, help="Say how many there are, and change nothing.")
@yes_option
@config_option
def prune(older_than: str, archive: Path, dry_run: bool, is_sure: bool, config_file: Path | None) -> None:
    """Move the rows of old photos to an archive; the photos themselves stay where they are.

    With a photo go its predictions, corrections and moves. Nothing is deleted before the archive is on the
    disk, and a worker may go on meanwhile. The archive is a log of its own, an SQLite file also where a
    server keeps this one: MOODSORT_DATABASE_URL=sqlite:///FILE moodsort log. The file of an SQLite log does
    not shrink, but has room for as many new photos.
    """
    from worker.store.pruning import find_old_photos, prune_log

    url = load_config(config_file).database.url
    where, archive_name = describe_address(url), escape_unprintable(format_path(archive))
    old_photos = find_old_photos(url, parse_start(older_than, datetime.now(UTC)))
    when = f"{old_photos.before.astimezone():%Y-%m-%d %H:%M}"
    click.echo(f"{where}: {old_photos.count} photos that came before {when} are finished", err=True)
    if dry_run or not old_photos.count:
        return
    confirm(f"Move their rows to {archive_name}, and delete them from the log?", is_sure)
    result = prune_log(url, old_photos, archive)
    click.echo(f"{where}: moved the rows of {result.pruned} photos to {archive_name}")
    if result.changed:
        click.echo(f"{where}: {result.changed} photos changed meanwhile, and stay; prune again", err=True)
