import pytest

from tests.drawing import draw_photo, encode_image
from trainer.cli.train import _NETWORKS
from trainer.models.architectures import (
    ARCHITECTURES,
    check_detector_input,
    choose_input,
    choose_weights,
)
from worker.errors import ConfigError


def draw_files(folder, size, colour):
    paths = []
    for seed in range(3):
        picture = draw_photo(seed, size)
        path = folder / f"{seed}.png"
        path.write_bytes(encode_image(picture if colour == "rgb" else picture.convert("L"), "PNG"))
        paths.append(path)
    return paths


@pytest.mark.parametrize(
    ("size", "colour", "side"), [((48, 48), "grey", 48), ((50, 70), "rgb", 64), ((640, 480), "rgb", 96)]
)
def test_the_network_reads_pictures_at_about_their_own_size_and_colour(tmp_path, size, colour, side):
    spec = choose_input("small", None, None, draw_files(tmp_path, size, colour))

    assert (spec.width, spec.height, spec.colour) == (side, side, colour)


def test_what_a_person_says_goes_before_what_the_pictures_are(tmp_path):
    spec = choose_input("small", 40, "rgb", draw_files(tmp_path, (48, 48), "grey"))

    assert (spec.width, spec.colour) == (40, "rgb")


def test_files_that_are_no_pictures_do_not_decide(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    files = [tmp_path / "notes.txt", *draw_files(tmp_path, (48, 48), "grey")]

    assert choose_input("small", None, None, files).width == 48
    assert choose_input("small", None, None, files[:1]).width == 96


def test_the_tutorial_reads_pictures_at_the_tutorials_size():
    assert choose_input("tutorial", None, None, []).width == 256


def test_only_networks_of_keras_applications_begin_with_downloaded_weights_by_default():
    assert choose_weights("backbone", None, None) == "none"
    assert choose_weights("small", None, None) == "none"
    assert choose_weights("mobilenet_v3_small", None, None) == "imagenet"


def test_a_bundle_to_begin_with_is_not_given_other_weights_too(tmp_path):
    assert choose_weights("mobilenet_v3_small", None, tmp_path) == "none"
    with pytest.raises(ConfigError, match="--weights and --start-from both"):
        choose_weights("mobilenet_v3_small", "imagenet", tmp_path)


def test_a_backbone_reads_colour_at_its_own_side_whatever_the_pictures_are(tmp_path):
    files = draw_files(tmp_path, (48, 48), "grey")
    spec = choose_input("backbone", None, None, files)
    assert (spec.width, spec.height, spec.colour) == (192, 192, "rgb")
    assert choose_input("backbone", 96, "rgb", files).width == 96


@pytest.mark.parametrize(("side", "colour"), [(100, None), (None, "grey")])
def test_a_backbone_reads_no_side_that_its_levels_cannot_halve_and_no_grey(side, colour):
    with pytest.raises(ConfigError, match="reads --colour rgb, and an --input-size that is a multiple of 32"):
        choose_input("backbone", side, colour, [])


@pytest.mark.parametrize(("side", "remedy"), [(100, "give 128"), (65, "give 96")])
def test_a_detector_reads_no_side_that_its_levels_cannot_halve(side, remedy):
    check_detector_input(96)
    with pytest.raises(ConfigError, match=rf"--input-size {side}: is no multiple of 32; {remedy}$"):
        check_detector_input(side)


def test_help_names_every_network():
    assert set(_NETWORKS) == set(ARCHITECTURES)
