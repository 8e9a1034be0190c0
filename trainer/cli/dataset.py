"""The commands `moodsort dataset …`."""

import click

from trainer.cli.dataset_check import check
from trainer.cli.dataset_faces import faces
from trainer.cli.dataset_split import split


@click.group()
def dataset() -> None:
    """Look after folders of pictures to train on."""


dataset.add_command(check)
dataset.add_command(split)
dataset.add_command(faces)
