"""The commands `moodsort dataset …`."""

import click

from trainer.cli.checking import check
from trainer.cli.cropping import faces
from trainer.cli.dividing import split


@click.group()
def dataset() -> None:
    """Look after folders of pictures to train on."""


dataset.add_command(check)
dataset.add_command(split)
dataset.add_command(faces)
