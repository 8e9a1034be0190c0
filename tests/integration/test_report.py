"""The report as people open it: in a browser, on a phone, by day and by night."""

import html
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.drawing import draw_jpeg, draw_pixels
from tests.drawn_predictions import draw_predictions
from tests.patience import scale
from tests.scene_bundle import make_scene_bundle
from trainer.evaluation.comparison import compare_predictions
from trainer.evaluation.metrics import compute_metrics
from trainer.report import ComparisonStudy, Study, StudyPictures, write_comparison, write_report
from trainer.training.progress import Epoch, ValidationMetrics
from worker.errors import BundleError

PHONE = 390
DESKTOP = 1280

CHARTS = {
    "accuracy.png",
    "confidence.png",
    "confusion.png",
    "coverage.png",
    "loss.png",
    "precision-recall.png",
    "reliability.png",
    "roc.png",
}
SHEETS = {"attention.png", "augmented.png", "mistakes.png", "samples.png"}

# The page is asked from a page around it: a window cannot be as narrow as a phone, a frame can.
FRAME_PAGE = """<!doctype html><body style="margin:0">
<iframe width="WIDTH" height="900" style="border:0" srcdoc="PAGE"></iframe>
<pre id="properties"></pre>
<script>
window.onload = () => {
  const frame = document.querySelector("iframe").contentWindow;
  const page = frame.document, root = page.documentElement, images = [...page.images];
  document.getElementById("properties").textContent = JSON.stringify({
    width: root.clientWidth, scrolled: root.scrollWidth, images: images.length,
    broken: images.filter(image => !image.complete || image.naturalWidth === 0).length,
    requests: frame.performance.getEntriesByType("resource").map(entry => entry.name)
      .filter(name => !name.startsWith("data:")),
    charts: [...page.querySelectorAll("svg")].map(svg => svg.getBoundingClientRect().height),
    repeated: [...page.querySelectorAll("[id]")].map(element => element.id)
      .filter((id, index, all) => all.indexOf(id) !== index),
    ink: frame.getComputedStyle(page.body).color, ground: frame.getComputedStyle(page.body).backgroundColor,
    text: page.body.innerText,
  });
};
</script>"""


def draw_study(count: int = 60, classes: tuple[str, ...] = ("happy", "sad")) -> Study:
    test = draw_predictions(count, len(classes), seed=1)
    pixels = np.stack([draw_pixels(seed, (48, 48)) for seed in range(count)])
    return Study(
        title="moods & <b>more</b>",
        classes=classes,
        command="moodsort train album --out moods",
        fingerprint="0123456789abcdef" * 4,
        about_counts="500 in the data, 80 of them for validation, 60 tested",
        about_test="The test pictures are a tenth of the same album.",
        temperature=2.0,
        validation=draw_predictions(80, len(classes), seed=2),
        test=test,
        metrics=compute_metrics(test, classes, "held-out test split"),
        epochs=tuple(
            Epoch(n, 1 / n, 1 - 0.5 / n, 1e-3, 2.0, ValidationMetrics(1.1 / n, 1 - 0.6 / n, 0.5))
            for n in range(1, 9)
        ),
        best_epoch=7,
        pictures=StudyPictures(
            samples=pixels[:10],
            sample_labels=test.labels[:10],
            about_samples="Training pictures, each with its label.",
            augmented=pixels[10:20],
            load_test=lambda indices: pixels[indices],
            test_names=tuple(f"picture-with-a-rather-long-name-{index}.jpg" for index in range(count)),
            explain=lambda pictures, labels: pictures[..., 0].astype(np.float32) / 255,
        ),
    )


def draw_comparison(count: int = 60) -> ComparisonStudy:
    """Draw a study of two bundles that predict the same pictures; the second is wrong about a few more."""
    first = replace(draw_study(count), epochs=(), best_epoch=None, validation=None)
    test = first.test
    worse = test.predicted.copy()
    worse[:6] = 1 - worse[:6]
    second_test = replace(test, predicted=worse)
    second = replace(first, test=second_test, metrics=compute_metrics(second_test, first.classes, "test"))
    return ComparisonStudy(
        title="moods & <b>more</b> on an album",
        about_test="The test pictures are an album.",
        names=("moods & <b>more</b>", "less"),
        studies=(first, second),
        comparison=compare_predictions(test, second_test),
    )


def open_page(page: str, folder: Path, width: int, *, dark: bool = False) -> dict:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.fail("chromium is not installed: the report is opened in it (apt install chromium)")
    frame_page = folder / "frame.html"
    frame_page.write_text(
        FRAME_PAGE.replace("WIDTH", str(width)).replace("PAGE", html.escape(page)), encoding="utf-8"
    )
    options = ["headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "dump-dom"]
    options += ["hide-scrollbars"]
    options += ["disable-background-networking", "disable-component-update", "disable-sync"]
    options += ["disable-dev-shm-usage", f"user-data-dir={folder / 'profile'}", f"window-size={DESKTOP},900"]
    options += [
        "host-resolver-rules=MAP * ~NOTFOUND",
        f"blink-settings=preferredColorScheme={0 if dark else 1}",
    ]
    process = subprocess.run(
        [browser, *(f"--{option}" for option in options), frame_page.as_uri()],
        capture_output=True,
        text=True,
        timeout=scale(50),
        check=True,
    )
    match = re.search(r'<pre id="properties">(.*?)</pre>', process.stdout, re.DOTALL)
    assert match, process.stdout[-500:]
    return json.loads(html.unescape(match[1]))


def compute_brightness(colour: str) -> float:
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3


# For every test: matplotlib keeps the fonts open that its first chart needs, which would look like a leak.
@pytest.fixture(scope="module", autouse=True)
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_report(folder, draw_study())
    return folder


@pytest.mark.parametrize(("width", "dark"), [(PHONE, True), (DESKTOP, False)])
def test_the_page_is_complete_in_a_browser_and_requests_nothing(report, tmp_path, width, dark):
    page = open_page((report / "index.html").read_text(), tmp_path, width, dark=dark)

    assert page["requests"] == []
    assert page["broken"] == 0
    assert page["images"] > 40
    assert page["repeated"] == []
    assert page["width"] == page["scrolled"] == width
    assert len(page["charts"]) == len(CHARTS)
    assert all(height > 150 for height in page["charts"])
    assert "moods & <b>more</b>" in page["text"]
    assert (compute_brightness(page["ground"]) < 80 < compute_brightness(page["ink"])) == dark


def test_many_classes_fit_a_phone_too(tmp_path):
    study = draw_study(
        150, ("_$a$_", "幸せ", "a & <i>b</i>", *(f"a class of some name {number}" for number in range(9)))
    )
    write_report(tmp_path / "report", replace(study, epochs=(), best_epoch=None, validation=None))

    page = open_page((tmp_path / "report" / "index.html").read_text(), tmp_path, PHONE)

    assert page["width"] == page["scrolled"] == PHONE
    assert len(page["charts"]) == len(CHARTS) - 2


def test_charts_and_sheets_lie_beside_the_page_as_png_files(report):
    files = {path.name: path for path in report.iterdir()}

    assert set(files) == {"index.html"} | CHARTS | SHEETS
    for name in CHARTS | SHEETS:
        with Image.open(files[name]) as image:
            image.load()
            assert min(image.size) > 100
    assert sum(path.stat().st_size for path in files.values()) < 3_000_000


def test_a_page_refers_to_nothing_outside_itself(report):
    text = (report / "index.html").read_text()

    addresses = re.findall(r"""(?:src|href)=["']([^"']*)|url\(([^)]*)\)|@import""", text)
    assert addresses
    assert all((link or url).startswith(("data:", "#")) for link, url in addresses)


def test_a_report_without_pictures_shows_none(tmp_path):
    write_report(tmp_path / "report", replace(draw_study(), pictures=None))

    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert names == {"index.html"} | CHARTS
    text = (tmp_path / "report" / "index.html").read_text()
    assert "<img" not in text
    assert "picture-with-a-rather-long-name" not in text


@pytest.mark.parametrize(("width", "dark"), [(PHONE, True), (DESKTOP, False)])
def test_two_bundles_stand_side_by_side_with_the_pictures_on_which_they_differ(tmp_path, width, dark):
    study = draw_comparison()
    write_comparison(tmp_path / "report", study)

    page = open_page((tmp_path / "report" / "index.html").read_text(), tmp_path, width, dark=dark)

    assert page["requests"] == []
    assert (page["broken"], page["repeated"]) == (0, [])
    assert page["width"] == page["scrolled"] == width
    assert len(page["charts"]) == 2 * len(CHARTS - {"loss.png", "accuracy.png"})
    assert page["images"] == 6
    assert "They give 6 of 60 pictures different labels." in page["text"]
    assert f"right alone: {study.comparison.only_first} and {study.comparison.only_second}" in page["text"]
    assert "Only moods & <b>more</b> is right" in page["text"]
    index = int(np.flatnonzero(study.studies[0].test.correct)[0])
    assert index < 6
    for name, single in zip(study.names, study.studies, strict=True):
        label = single.classes[single.test.predicted[index]]
        assert f"{name}: {label} {single.test.confidence[index]:.0%}" in page["text"]
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert {"first-roc.png", "second-roc.png", "only-first.png"} <= names


def test_bundles_that_agree_are_said_to_agree(tmp_path):
    study = draw_comparison()
    first = study.studies[0]
    same = replace(study, studies=(first, first), comparison=compare_predictions(first.test, first.test))

    write_comparison(tmp_path / "report", same)

    text = (tmp_path / "report" / "index.html").read_text()
    assert "They give every picture the same label." in text
    assert "<img" not in text


@pytest.mark.parametrize("name", ["index.html", "roc.png"])
def test_a_disk_that_refuses_the_report_is_an_error_of_one_line(tmp_path, name):
    (tmp_path / "report" / name).mkdir(parents=True)

    with pytest.raises(BundleError, match="the report cannot be written") as refusal:
        write_report(tmp_path / "report", replace(draw_study(), pictures=None))

    assert "\n" not in str(refusal.value)


def run_evaluate(folder: Path, *bundles: object) -> Path:
    """Write the report of bundles on drawn pictures, and return its folder."""
    for label in ("happy", "sad"):
        (folder / "data" / label).mkdir(parents=True)
        for seed in range(6):
            (folder / "data" / label / f"{seed}.jpg").write_bytes(draw_jpeg(seed + len(label)))
    code = "from trainer.cli.evaluate import evaluate; evaluate.main(standalone_mode=False)"
    command = [sys.executable, "-W", "error", "-c", code, *bundles, folder / "data"]
    process = subprocess.run(
        [*map(str, command), "--report", str(folder / "report")],
        capture_output=True,
        text=True,
        timeout=scale(50),
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return folder / "report"


def test_evaluate_writes_a_report_of_a_bundle(tmp_path):
    report = run_evaluate(tmp_path, "default")

    names = {path.name for path in report.iterdir()}
    assert {"index.html", "samples.png", "mistakes.png", "roc.png"} <= names
    assert "loss.png" not in names
    text = (report / "index.html").read_text()
    assert "Test pictures, each with its label." in text
    assert "12 tested; the bundle was trained on" in text
    assert "Training pictures" not in text


def test_evaluate_writes_one_report_of_two_bundles(tmp_path):
    report = run_evaluate(tmp_path, "default", make_scene_bundle(tmp_path / "second"))

    names = {path.name for path in report.iterdir()}
    assert {"index.html", "first-roc.png", "second-roc.png"} <= names
    assert "McNemar" in (report / "index.html").read_text()


@pytest.mark.timeout(120)
def test_grad_cam_explains_every_network_of_ours():
    code = """
import numpy as np
from trainer.models.classifiers import NetworkPlan, build_network
from trainer.report.grad_cam import compute_grad_cam
from worker.inference.manifest import InputSpec
pixels = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
for name in ("small", "tutorial", "mobilenet_v3_small"):
    network = build_network(NetworkPlan(InputSpec(64, 64, "rgb", "stretch"), 3, seed=0), name)
    heat = compute_grad_cam(network, pixels, np.array([0, 1, 2]))
    assert heat.shape == (3, 64, 64) and heat.dtype == np.float32, name
    assert heat.min() >= 0 and 0.5 < heat.max() <= 1, name
"""
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=scale(110), check=False
    )

    assert process.returncode == 0, process.stderr[-2000:]
