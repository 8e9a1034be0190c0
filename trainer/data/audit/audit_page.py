"""Show the findings with their pictures on one page that needs no other file."""

import base64
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby, islice
from pathlib import Path

from PIL import Image

from trainer.data.audit.examination import Examination
from trainer.data.audit.findings import CERTAIN, AuditFinding, AuditReport, FindingKind
from trainer.data.images import WORKING_SIDE, read_image
from worker.errors import BadPhoto, ConfigError, MoodsortError
from worker.fileio import replace_file
from worker.paths import escape_unprintable, format_path

_MAX_FINDINGS = 60
_MAX_PICTURES = 8
"""Of each kind and of each finding: with 4 kB a picture the page stays under about 10 MB."""

_MAX_PIXELS = 250_000_000
"""Pixels of the largest picture that is worth the time that its thumbnail takes."""

_THUMBNAIL_SIDE = 150

TITLES = {
    FindingKind.UNREADABLE: "Unreadable files",
    FindingKind.TWO_CLASSES: "The same file in two classes",
    FindingKind.ACROSS_SPLITS: "The same file in two splits",
    FindingKind.EXACT_DUPLICATE: "Exact duplicates",
    FindingKind.FEW_PICTURES: "Classes of too few pictures",
    FindingKind.NEAR_TWO_CLASSES: "Near-duplicates in two classes",
    FindingKind.NEAR_ACROSS_SPLITS: "Near-duplicates in two splits",
    FindingKind.WRONG_LABEL: "Likely wrong labels",
    FindingKind.NEAR_DUPLICATE: "Near-duplicates",
    FindingKind.RARE_CLASS: "Rare classes",
    FindingKind.TINY: "Tiny pictures",
    FindingKind.DARK: "Dark pictures",
    FindingKind.BLURRED: "Blurred pictures",
}

_ADVICE = {
    FindingKind.UNREADABLE: "Training leaves them out, the worker quarantines them. --fix moves them away.",
    FindingKind.TWO_CLASSES: "One of the classes is wrong. Keep the picture in the right one.",
    FindingKind.ACROSS_SPLITS: "What was learned by heart is no test. --fix keeps the copy in test.",
    FindingKind.EXACT_DUPLICATE: "Copies make a picture count more than others. --fix keeps one of each.",
    FindingKind.FEW_PICTURES: "Training refuses such a class. Add pictures, or take its folder away.",
    FindingKind.NEAR_TWO_CLASSES: "Resized, re-encoded or mirrored copies with different labels: keep one.",
    FindingKind.NEAR_ACROSS_SPLITS: "Metrics measured on them flatter. Move them to one split.",
    FindingKind.WRONG_LABEL: "A simple model of the other pictures disagrees. Many are right: look at each.",
    FindingKind.NEAR_DUPLICATE: "Training keeps them in one split, which is enough unless they are many.",
    FindingKind.RARE_CLASS: "Training weighs classes alike, but a rare one has few examples: add pictures.",
    FindingKind.TINY: "Little can be seen in them. Look for larger versions.",
    FindingKind.DARK: "Little can be seen in them.",
    FindingKind.BLURRED: "Useful where the photos to be classified are blurred as well, else not.",
}


@dataclass(frozen=True, slots=True)
class _Thumbnail:
    """A picture on the page: `data_uri` is None where it cannot be read."""

    folder: str
    name: str
    data_uri: str | None


@dataclass(frozen=True, slots=True)
class _FindingView:
    """A finding on the page; `more` counts its pictures that are not."""

    detail: str
    pictures: tuple[_Thumbnail, ...]
    more: int


@dataclass(frozen=True, slots=True)
class _Section:
    """The findings of one kind; `more` counts those that are not on the page."""

    kind: FindingKind
    title: str
    advice: str
    is_certain: bool
    count: int
    findings: tuple[_FindingView, ...]
    more: int


def check_page_path(path: Path) -> None:
    """Raise ConfigError where the page cannot go: it must not replace a picture or a folder."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"{format_path(path)}: a page ends in .html; give --page another name")
    if path.is_dir():
        raise ConfigError(f"{format_path(path)}: is a folder; give --page another name")
    if not path.parent.is_dir():
        raise ConfigError(
            f"{format_path(path.parent)}: is not a folder; make it, or give --page another name"
        )


def write_page(path: Path, data: Sequence[Path], examination: Examination, report: AuditReport) -> None:
    """Write the page; an older one stays until the new one is whole. Raises MoodsortError."""
    # Only `--page` needs it, and the command says so where it is missing.
    from jinja2 import Environment

    # Names are hostile: everything but the template is escaped.
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        files("trainer.data.audit").joinpath("page.html").read_text("utf-8")
    )
    text = template.render(
        title=", ".join(_format_text(folder) for folder in data),
        summary=summarize(examination),
        notes=report.notes,
        sections=list(_make_sections(report.findings, data)),
    )
    try:
        replace_file(path, text.encode())
    except OSError as error:
        raise MoodsortError(
            f"{format_path(path)}: cannot be written ({error.strerror}); check --page"
        ) from error


def summarize(examination: Examination) -> str:
    """Say how many pictures there are of each class."""
    counts = Counter(picture.file.label for picture in examination.pictures)
    pictures = ", ".join(f"{counts[label]} {escape_unprintable(label)}" for label in examination.classes)
    unreadable = len(examination.unreadable)
    rest = f" and {unreadable} unreadable {'file' if unreadable == 1 else 'files'}" if unreadable else ""
    return f"{counts.total()} pictures ({pictures}){rest}"


def _make_sections(findings: Sequence[AuditFinding], data: Sequence[Path]) -> Iterator[_Section]:
    for kind, kind_findings in groupby(findings, key=lambda finding: finding.kind):
        group = list(kind_findings)
        yield _Section(
            kind=kind,
            title=TITLES[kind],
            advice=_ADVICE[kind],
            is_certain=kind in CERTAIN,
            count=len(group),
            findings=tuple(_make_view(finding, data) for finding in group[:_MAX_FINDINGS]),
            more=max(0, len(group) - _MAX_FINDINGS),
        )


def _make_view(finding: AuditFinding, data: Sequence[Path]) -> _FindingView:
    thumbnails = tuple(_make_thumbnail(path, data) for path in islice(finding.paths, _MAX_PICTURES))
    return _FindingView(
        escape_unprintable(finding.detail), thumbnails, max(0, len(finding.paths) - _MAX_PICTURES)
    )


def _make_thumbnail(path: Path, data: Sequence[Path]) -> _Thumbnail:
    source = next((folder for folder in data if path.is_relative_to(folder)), path.parent)
    folder = path.parent.relative_to(source) if len(data) == 1 else path.parent
    return _Thumbnail(_format_text(folder), _format_text(Path(path.name)), _make_data_uri(path))


def _make_data_uri(path: Path) -> str | None:
    """Return the picture as a small JPEG in a data: URI, or None where it cannot be read."""
    try:
        _, picture = read_image(path, max_pixels=_MAX_PIXELS, max_side=WORKING_SIDE)
    except BadPhoto:
        return None
    image = Image.fromarray(picture.pixels)
    image.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE), Image.Resampling.BILINEAR)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=75)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _format_text(path: Path) -> str:
    return escape_unprintable(format_path(path))
