"""Training as people call it, in a process of its own: TensorFlow's threads would outlive a test."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.dangling_links import replace_by_dangling_links
from tests.drawn_predictions import run_both_ways
from tests.patience import scale
from tests.scene_bundle import make_scene_bundle
from trainer.cli.train import train
from trainer.data.atomic_directory import prepare_directory
from trainer.data.dataset import Dataset, read_dataset
from worker.errors import BundleError, ConfigError
from worker.inference.bundle import load_bundle
from worker.inference.decode import decode_photo
from worker.inference.manifest import InputSpec
from worker.inference.predictor import Predictor

CLASSES = ("bars", "disc", "stripes")

TRAIN = """
import sys
from trainer.cli.train import train
from worker.errors import MoodsortError
try:
    train.main(standalone_mode=False)
except MoodsortError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def draw_picture(label: str, seed: int) -> Image.Image:
    draw = np.random.default_rng(seed)
    ground, ink = draw.integers(0, 90, 3), draw.integers(150, 256, 3)
    picture = Image.new("RGB", (64, 48), tuple(ground.tolist()))
    pen = ImageDraw.Draw(picture)
    left, top, side = map(int, draw.integers((5, 5, 18), (30, 18, 26)))
    box = (left, top, left + side, top + side)
    if label == "disc":
        pen.ellipse(box, fill=tuple(ink.tolist()))
    elif label == "bars":
        for y in range(int(draw.integers(0, 10)), 48, 10):
            pen.line((0, y, 64, y), fill=tuple(ink.tolist()), width=4)
    else:
        for x in range(int(draw.integers(0, 10)), 64, 10):
            pen.line((x, 0, x, 48), fill=tuple(ink.tolist()), width=4)
    return picture


def draw_classes(folder: Path, count: int, classes: tuple[str, ...] = CLASSES) -> Path:
    for label in classes:
        (folder / label).mkdir(parents=True)
        for seed in range(count):
            draw_picture(label, seed).save(folder / label / f"{seed}.png")
    return folder


def run_python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-c",
        code,
        *(os.fspath(a) if isinstance(a, Path) else str(a) for a in arguments),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=scale(110), check=False)


def read(folder: Path, say: Callable[[str], None] = lambda sentence: None) -> Dataset:
    spec = InputSpec(32, 32, "rgb", "stretch")
    return read_dataset((folder,), spec, max_side=320, max_pixels=250_000_000, say=say)


@pytest.fixture(scope="module")
def bundle_and_process(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Train a bundle from two folders, one of which has a torn picture."""
    folder = tmp_path_factory.mktemp("trained")
    data = draw_classes(folder / "drawn", count=40)
    more = draw_classes(folder / "more", count=1)
    (data / "disc" / "torn.png").write_bytes((data / "disc" / "0.png").read_bytes()[:60])
    out = folder / "bundle"
    result = run_python(TRAIN, data, more, "--out", out, "--epochs", 8, "--input-size", 32, "--seed", 1)
    assert result.returncode == 0, result.stderr
    return out, result


@pytest.mark.timeout(120)
def test_a_bundle_is_trained_from_folders_and_predicts_as_the_worker_does(bundle_and_process, tmp_path):
    out, result = bundle_and_process
    assert "epoch 8:" in result.stdout
    assert "left out" in result.stdout
    bundle = load_bundle(out)
    manifest = bundle.manifest
    assert manifest.classes == CLASSES
    assert manifest.training_data.pictures == 123
    assert manifest.command.startswith("moodsort drawn more --out bundle")
    assert {metric.name for metric in manifest.metrics} >= {"accuracy", "precision", "recall"}
    assert sorted(path.name for path in out.parent.iterdir()) == ["bundle", "drawn", "more"]

    predictor = Predictor(bundle)
    predictor.self_test()
    right = 0
    for label in CLASSES:
        for seed in range(1000, 1010):
            path = tmp_path / "new.png"
            draw_picture(label, seed).save(path)
            picture = decode_photo(path.read_bytes(), max_pixels=10**6, max_side=manifest.max_side)
            right += predictor.predict(picture).label == label
    assert right >= 20  # 10 by chance


@pytest.mark.timeout(120)
def test_a_trained_bundle_predicts_the_same_for_a_picture_and_its_mirror_image(bundle_and_process):
    straight, mirrored = run_both_ways(bundle_and_process[0])
    assert mirrored == pytest.approx(straight, abs=0.01 * float(np.ptp(straight)))


@pytest.mark.timeout(120)
def test_a_loss_that_is_no_number_ends_training_and_leaves_the_older_bundle(tmp_path):
    data = draw_classes(tmp_path / "drawn", count=6, classes=CLASSES[:2])
    out = tmp_path / "bundle"
    out.mkdir()
    (out / "manifest.json").write_text("{}")
    code = """
import sys
from dataclasses import replace
from pathlib import Path
from trainer.pipelines.train_classifier import train_classifier
from trainer.training.configuration import TrainingConfig
from trainer.training.failures import Diverged
from trainer.training.hyperparameters import Hyperparameters
from trainer.training.progress import Progress
from worker.inference.manifest import InputSpec
data, out = map(Path, sys.argv[1:])
spec = InputSpec(32, 32, "grey", "stretch")
hyperparameters = Hyperparameters(peak_learning_rate=1e38)
config = TrainingConfig((data,), out, "drawn", spec, "a test", epochs=3, hyperparameters=hyperparameters)
try:
    train_classifier(config, Progress(lambda text: None, lambda epoch: None), started=0.0)
except Diverged as error:
    sys.exit(f"Diverged: {error}")
"""

    result = run_python(code, data, out)

    assert result.returncode == 1
    assert "Diverged: the loss of epoch" in result.stderr
    assert json.loads((out / "manifest.json").read_text()) == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "drawn"]


def test_the_command_needs_no_tensorflow_to_say_how_it_is_installed(tmp_path, monkeypatch):
    code = (
        "import sys, trainer.cli.train; sys.exit(bool({'tensorflow', 'keras', 'scipy'} & set(sys.modules)))"
    )
    assert run_python(code).returncode == 0

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pipx install --force '\.\[train\]'"):
        train.main([str(tmp_path), "--out", str(tmp_path / "bundle")], standalone_mode=False)


def test_wrong_folders_and_outputs_are_refused_before_tensorflow_starts(tmp_path):
    code = f"import atexit, sys\natexit.register(lambda: print('tensorflow' in sys.modules))\n{TRAIN}"
    data = draw_classes(tmp_path / "drawn", count=3)
    (tmp_path / "file").write_text("kept")

    without_data = run_python(code, tmp_path / "nowhere", "--out", tmp_path / "bundle")
    without_output = run_python(code, data, "--out", tmp_path / "file")
    older = make_scene_bundle(tmp_path / "older")
    over_older = run_python(code, data, "--out", older)
    assert "is a bundle already; give --out another name, or --force to replace it" in over_older.stderr
    assert load_bundle(older)

    for result in (without_data, without_output, over_older):
        assert result.stdout.strip() == "False"
        assert result.stderr.startswith("ConfigError: ")
        assert result.stderr.count("\n") == 1


def test_data_is_required():
    with pytest.raises(click.UsageError):
        train.main(["--out", "bundle"], standalone_mode=False)


def test_the_fingerprint_of_data_depends_on_content_and_not_on_file_names(tmp_path):
    first = draw_classes(tmp_path / "first", count=4)
    second = draw_classes(tmp_path / "second", count=4)
    for path in sorted((second / "disc").iterdir()):
        path.rename(path.with_name(f"renamed {path.name}"))
    third = draw_classes(tmp_path / "third", count=5)

    dataset, same, different = (read(folder) for folder in (first, second, third))

    assert dataset.fingerprint() == same.fingerprint() != different.fingerprint()
    assert dataset.pixels.shape == (12, 32, 32, 3)
    assert dataset.pixels.dtype == np.uint8


def test_files_that_cannot_be_read_are_left_out_and_named(tmp_path):
    data = draw_classes(tmp_path / "drawn", count=3)
    (data / "disc" / "notes.txt").write_text("no picture")
    (data / "disc" / ".hidden.png").write_text("no picture either, and not read")
    sentences: list[str] = []

    dataset = read(data, sentences.append)

    assert [file.path.name for file in dataset.unreadable] == ["notes.txt"]
    assert any("notes.txt: nothing in it looks like a picture" in line for line in sentences)


def leave_missing(folder: Path) -> None:
    pass


def make_no_classes(folder: Path) -> None:
    folder.mkdir()


def make_one_class(folder: Path) -> None:
    draw_classes(folder, count=3, classes=("disc",))


def make_a_class_of_one(folder: Path) -> None:
    draw_classes(folder, count=3, classes=("bars", "disc"))
    (folder / "stripes").mkdir()
    draw_picture("stripes", 0).save(folder / "stripes" / "only.png")


def make_nothing_readable(folder: Path) -> None:
    for label in CLASSES:
        (folder / label).mkdir(parents=True)
        (folder / label / "notes.txt").write_text("no picture")


def leave_mostly_dangling_links(folder: Path) -> None:
    replace_by_dangling_links(draw_classes(folder, count=9))


def make_a_name_in_latin_1(folder: Path) -> None:
    draw_classes(folder, count=3)
    Path(os.fsdecode(os.fsencode(folder) + b"/fr\xf6hlich")).mkdir()


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (leave_missing, "is not a folder"),
        (make_no_classes, "no class folders"),
        (make_one_class, "one class folder, disc"),
        (make_a_class_of_one, "class stripes has 1 readable picture;"),
        (make_nothing_readable, "no file in it could be read as a picture"),
        (leave_mostly_dangling_links, "18 of 27 pictures cannot be read, the first .*1.png: it is a link"),
        (make_a_name_in_latin_1, r"fr\\xf6hlich: its name is not UTF-8"),
    ],
)
def test_folders_that_cannot_be_trained_on_are_refused_in_one_line(tmp_path, prepare, sentence):
    prepare(tmp_path / "data")

    with pytest.raises(ConfigError, match=sentence) as refusal:
        read(tmp_path / "data")

    assert "\n" not in str(refusal.value)


def test_a_folder_that_is_no_bundle_is_never_replaced(tmp_path):
    (tmp_path / "file").write_text("kept")
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "photo").write_text("kept")

    for name in ("file", "album"):
        with pytest.raises(ConfigError, match="give --out another name"), prepare_directory(tmp_path / name):
            pass

    assert (tmp_path / "file").read_text() == (tmp_path / "album" / "photo").read_text() == "kept"
    assert len(list(tmp_path.iterdir())) == 2


def write_half_a_bundle(out: Path) -> None:
    with prepare_directory(out) as draft:
        (draft / "manifest.json").write_text("half")
        raise BundleError("unfinished")


def test_an_older_bundle_is_replaced_only_by_a_finished_one(tmp_path):
    out = tmp_path / "bundle"
    out.mkdir()
    (out / "manifest.json").write_text("older")

    with pytest.raises(BundleError, match="unfinished"):
        write_half_a_bundle(out)
    assert (out / "manifest.json").read_text() == "older"

    with prepare_directory(out) as draft:
        (draft / "manifest.json").write_text("newer")
    assert (out / "manifest.json").read_text() == "newer"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
