import pytest

from tests.drawing import draw_photo, encoded
from trainer.cli.train import _NETWORKS, _weights
from trainer.models.architectures import (
    ARCHITECTURES,
    choose_batch_size,
    choose_epochs,
    choose_hyperparameters,
    choose_input,
    choose_patience,
)
from trainer.training.configuration import (
    BACKBONE_HYPERPARAMETERS,
    FINE_TUNING_HYPERPARAMETERS,
    TUTORIAL_HYPERPARAMETERS,
    Hyperparameters,
)
from worker.errors import ConfigError


def drawn_files(folder, size, colour):
    paths = []
    for seed in range(3):
        picture = draw_photo(seed, size)
        path = folder / f"{seed}.png"
        path.write_bytes(encoded(picture if colour == "rgb" else picture.convert("L"), "PNG"))
        paths.append(path)
    return paths


@pytest.mark.parametrize(
    ("size", "colour", "side"), [((48, 48), "grey", 48), ((50, 70), "rgb", 64), ((640, 480), "rgb", 96)]
)
def test_the_network_reads_pictures_at_about_their_own_size_and_colour(tmp_path, size, colour, side):
    spec = choose_input("small", None, None, drawn_files(tmp_path, size, colour))

    assert (spec.width, spec.height, spec.colour) == (side, side, colour)


def test_what_a_person_says_goes_before_what_the_pictures_are(tmp_path):
    spec = choose_input("small", 40, "rgb", drawn_files(tmp_path, (48, 48), "grey"))

    assert (spec.width, spec.colour) == (40, "rgb")


def test_files_that_are_no_pictures_do_not_decide(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    files = [tmp_path / "notes.txt", *drawn_files(tmp_path, (48, 48), "grey")]

    assert choose_input("small", None, None, files).width == 48
    assert choose_input("small", None, None, files[:1]).width == 96


def test_few_pictures_are_shown_more_often_in_smaller_batches():
    assert [choose_epochs("small", pictures) for pictures in (50, 525, 3000, 9342)] == [200, 200, 50, 24]
    assert [choose_batch_size("small", pictures) for pictures in (3, 240, 9342)] == [2, 20, 64]
    assert [choose_patience(epochs) for epochs in (3, 24, 200)] == [10, 10, 66]


def test_the_tutorial_is_trained_as_in_the_tutorial():
    assert choose_hyperparameters("tutorial", knows_something=False) == TUTORIAL_HYPERPARAMETERS
    assert not TUTORIAL_HYPERPARAMETERS.augmented
    assert (choose_epochs("tutorial", 525), choose_batch_size("tutorial", 525)) == (20, 32)
    assert choose_input("tutorial", None, None, []).width == 256


def test_what_a_network_knows_is_changed_in_smaller_steps():
    assert choose_hyperparameters("mobilenet_v3_small", knows_something=True) == FINE_TUNING_HYPERPARAMETERS


def test_a_trunk_learns_in_its_own_way_whether_it_begins_with_a_finder_or_with_nothing():
    assert choose_hyperparameters("trunk", knows_something=True) == BACKBONE_HYPERPARAMETERS
    assert choose_hyperparameters("trunk", knows_something=False) == BACKBONE_HYPERPARAMETERS
    assert BACKBONE_HYPERPARAMETERS not in (Hyperparameters(), FINE_TUNING_HYPERPARAMETERS)


def test_a_trunk_begins_with_nothing_unless_told():
    assert _weights("trunk", None, None) == "none"


def test_a_trunk_reads_colour_at_its_own_side_whatever_the_pictures_are(tmp_path):
    files = drawn_files(tmp_path, (48, 48), "grey")
    spec = choose_input("trunk", None, None, files)
    assert (spec.width, spec.height, spec.colour) == (192, 192, "rgb")
    assert choose_input("trunk", 96, "rgb", files).width == 96


@pytest.mark.parametrize(("side", "colour"), [(100, None), (None, "grey")])
def test_a_trunk_reads_nothing_that_its_levels_cannot_halve_and_no_grey(side, colour):
    with pytest.raises(ConfigError, match="reads --colour rgb, and an --input-size that is a multiple of 32"):
        choose_input("trunk", side, colour, [])


def test_help_names_every_network():
    assert set(_NETWORKS) == set(ARCHITECTURES)
