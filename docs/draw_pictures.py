"""Draw the pictures of the documents again: `make pictures` in a checkout.

Nothing in them is made up but the people, who are drawn by code: what is printed, drawn onto photos and
charted comes from the commands, with the built-in bundle or with one that is trained here. Needs the trainer
and Chromium; takes about three minutes.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from docs.drawn_photos import draw_photo, make_face
from docs.terminal import Terminal

PICTURES = Path(__file__).parent / "pictures"

MOODSORT = Path(sys.executable).with_name("moodsort")

_PARTY = 13
"""The seed of the photo of three people: they look different from one another."""

_PORTRAITS = {
    "anna.jpg": 0.9,
    "ben.jpg": 0.8,
    "carla.jpg": 1.0,
    "dan.jpg": -0.9,
    "emma.jpg": -1.0,
    "finn.jpg": -0.8,
    "grace.jpg": 0.7,
    "hugo.jpg": 0.9,
}
"""The photos of the session, and the mood of the one person on each."""

_SESSION = (
    "ls photos/inbox",
    "moodsort run --once",
    "ls photos/happy photos/sad photos/quarantine",
    "moodsort log --label happy --order lowest --limit 3",
    "moodsort stats",
)

_TRAINING_FACES = 2000
_EPOCHS = "60"

_PAGE = "1000,1310"
"""Width and height in pixels of what is shown of the report: its metrics and the first rows of charts."""


def main() -> None:
    """Draw every picture into docs/pictures."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        _draw_faces(Path(folder))
        _draw_session(Path(folder))
        _draw_report(Path(folder))


def _draw_faces(folder: Path) -> None:
    """Let `classify --draw` draw its prediction onto a photo of three people."""
    looks = np.random.default_rng(_PARTY)
    places = ((150, 210, 70, 0.9), (330, 190, 78, 0.8), (510, 220, 66, -0.9))
    photo, drawing = folder / "party.jpg", folder / "party-drawn.png"
    draw_photo([make_face(looks, *place) for place in places], (640, 427), _PARTY).save(photo, quality=95)
    _run(folder, MOODSORT, "classify", photo, "--draw", drawing)
    Image.open(drawing).save(PICTURES / "faces.jpg", quality=80)


def _draw_session(folder: Path) -> None:
    """Run a worker over some photos, one of them cut off, and render what the terminal shows."""
    inbox = folder / "photos/inbox"
    inbox.mkdir(parents=True)
    for seed, (name, mood) in enumerate(_PORTRAITS.items()):
        face = make_face(np.random.default_rng(seed), 160, 150, 80, mood)
        draw_photo([face], (320, 320), seed).save(inbox / name, quality=90)
    (inbox / "half.jpg").write_bytes((inbox / "anna.jpg").read_bytes()[:4000])
    terminal = Terminal(folder, search_path=MOODSORT.parent)
    for command in _SESSION:
        terminal.run(command)
    (PICTURES / "session.svg").write_text(terminal.render("moodsort"), encoding="utf-8")


def _draw_report(folder: Path) -> None:
    """Train a network on drawn faces, and show the top of its report."""
    for seed in range(_TRAINING_FACES):
        _draw_training_face(folder / "my-pictures", seed)
    arguments = ("--epochs", _EPOCHS, "--input-size", "48", "--threads", "1")
    _run(folder, MOODSORT, "train", "my-pictures", "--out", "my-bundle", *arguments)
    report, screenshot = folder / "my-bundle/report", folder / "report.png"
    chromium = ("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
    _run(
        folder,
        *chromium,
        f"--window-size={_PAGE}",
        f"--screenshot={screenshot}",
        f"file://{report}/index.html",
    )
    _save_reduced(screenshot, PICTURES / "report.png")


def _draw_training_face(folder: Path, seed: int) -> None:
    """Draw a face that fills most of a small picture; the less it smiles or frowns, the harder it is."""
    random = np.random.default_rng(1000 + seed)
    label, sign = (("happy", 1), ("sad", -1))[seed % 2]
    x, y = random.uniform(-5, 5, 2)
    face = make_face(random, 48 + x, 46 + y, random.uniform(20, 27), sign * random.uniform(0.15, 1))
    photo = draw_photo([face], (96, 96), seed).rotate(random.uniform(-18, 18), Image.Resampling.BICUBIC)
    path = folder / label / f"{seed:04}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    photo.crop((16, 16, 80, 80)).save(path, quality=85)


def _save_reduced(source: Path, destination: Path) -> None:
    """Save a picture with few colours, for a repository is no place for megabytes."""
    picture = Image.open(source).convert("RGB")
    picture.quantize(128, dither=Image.Dither.NONE).save(destination, optimize=True)


def _run(folder: Path, *command: str | Path) -> None:
    # Chromium complains of every service that a container lacks.
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(run.stderr)


if __name__ == "__main__":
    main()
