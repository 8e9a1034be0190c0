"""Show the findings with their pictures on one page that needs no other file."""

import base64
import io
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby, islice
from pathlib import Path

from PIL import Image

from trainer.data.audit.examination import WORKING_SIDE, Examination
from trainer.data.audit.findings import CERTAIN, AuditFinding, AuditReport, FindingKind
from trainer.data.dataset import read_image
from worker.errors import BadPhoto, ConfigError, MoodsortError
from worker.paths import escape_unprintable, format_path

_MOST_FINDINGS = 60
_MOST_PICTURES = 8
"""Of each kind and of each finding: with 4 kB a picture the page stays under about 10 MB."""

_SMALL_ENOUGH = 250_000_000
"""Pixels of the largest picture that is worth the time that its thumbnail takes."""

_THUMBNAIL_SIDE = 150

TITLES = {
    FindingKind.UNREADABLE: "Unreadable files",
    FindingKind.TWO_CLASSES: "The same file in two classes",
    FindingKind.ACROSS_PARTS: "The same file in two parts",
    FindingKind.EXACT_DUPLICATE: "Exact duplicates",
    FindingKind.FEW_PICTURES: "Classes of too few pictures",
    FindingKind.NEAR_TWO_CLASSES: "Near-duplicates in two classes",
    FindingKind.NEAR_ACROSS_PARTS: "Near-duplicates in two parts",
    FindingKind.WRONG_LABEL: "Likely wrong labels",
    FindingKind.NEAR_DUPLICATE: "Near-duplicates",
    FindingKind.RARE_CLASS: "Rare classes",
    FindingKind.TINY: "Tiny pictures",
    FindingKind.DARK: "Dark pictures",
    FindingKind.BLURRED: "Blurred pictures",
}

_ADVICE = {
    FindingKind.UNREADABLE: "Training leaves them out, and the worker would quarantine them. --fix moves them away.",
    FindingKind.TWO_CLASSES: "One of the classes is wrong. Keep the picture in the right one.",
    FindingKind.ACROSS_PARTS: "What was learned by heart is no test. --fix keeps the copy of the test.",
    FindingKind.EXACT_DUPLICATE: "Copies weigh a picture more than others. --fix keeps one of each.",
    FindingKind.FEW_PICTURES: "Training refuses such a class. Add pictures, or take its folder away.",
    FindingKind.NEAR_TWO_CLASSES: "Resized, re-encoded, cropped or mirrored copies with different labels: keep one.",
    FindingKind.NEAR_ACROSS_PARTS: "Figures measured on them flatter. Move them to one part.",
    FindingKind.WRONG_LABEL: "A simple model of the other pictures disagrees. Many are right: look at each.",
    FindingKind.NEAR_DUPLICATE: "Training keeps them in one part, which is enough unless they are many.",
    FindingKind.RARE_CLASS: "Training weighs classes alike, but a rare one is known by few examples: add pictures.",
    FindingKind.TINY: "Little can be seen in them. Look for larger versions.",
    FindingKind.DARK: "Little can be seen in them.",
    FindingKind.BLURRED: "Useful where the photos to be judged are blurred as well, else not.",
}


@dataclass(frozen=True, slots=True)
class _Thumbnail:
    folder: str
    name: str
    thumbnail: str | None


@dataclass(frozen=True, slots=True)
class _ShownFinding:
    detail: str
    pictures: tuple[_Thumbnail, ...]
    more: int


@dataclass(frozen=True, slots=True)
class _Section:
    kind: FindingKind
    title: str
    advice: str
    is_certain: bool
    count: int
    findings: tuple[_ShownFinding, ...]
    more: int


def check_page_path(path: Path) -> None:
    """Raise ConfigError where the page would not be one, or would take another file's place."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"{format_path(path)}: a page ends in .html; give --page another name")
    if path.is_dir():
        raise ConfigError(f"{format_path(path)}: is a folder; give --page another name")
    if not path.parent.is_dir():
        raise ConfigError(
            f"{format_path(path.parent)}: is not a folder; make it, or give --page another name"
        )


def write_page(path: Path, data: Sequence[Path], examination: Examination, judged: AuditReport) -> None:
    """Write the page; an older one stays until the new one is whole. Raises MoodsortError."""
    from jinja2 import Environment

    # Names are hostile: everything but the template is escaped.
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        files("trainer.data.audit").joinpath("page.html").read_text("utf-8")
    )
    text = template.render(
        title=", ".join(_format_text(folder) for folder in data),
        summary=summarize(examination),
        notes=judged.notes,
        sections=list(_make_sections(judged.findings, data)),
    )
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, "utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise MoodsortError(
            f"{format_path(path)}: cannot be written ({error.strerror}); check --page"
        ) from error


def summarize(examination: Examination) -> str:
    """Say how many pictures there are of each class."""
    labels = Counter(picture.file.label for picture in examination.pictures)
    counts = ", ".join(f"{labels[name]} {escape_unprintable(name)}" for name in examination.classes)
    unread = len(examination.unreadable)
    also = f" and {unread} unreadable {'file' if unread == 1 else 'files'}" if unread else ""
    return f"{labels.total()} pictures ({counts}){also}"


def _make_sections(findings: Sequence[AuditFinding], data: Sequence[Path]) -> Iterator[_Section]:
    for kind, each in groupby(findings, key=lambda finding: finding.kind):
        of_kind = list(each)
        yield _Section(
            kind=kind,
            title=TITLES[kind],
            advice=_ADVICE[kind],
            is_certain=kind in CERTAIN,
            count=len(of_kind),
            findings=tuple(_show_finding(finding, data) for finding in of_kind[:_MOST_FINDINGS]),
            more=max(0, len(of_kind) - _MOST_FINDINGS),
        )


def _show_finding(finding: AuditFinding, data: Sequence[Path]) -> _ShownFinding:
    pictures = tuple(_make_picture(path, data) for path in islice(finding.paths, _MOST_PICTURES))
    return _ShownFinding(
        escape_unprintable(finding.detail), pictures, max(0, len(finding.paths) - _MOST_PICTURES)
    )


def _make_picture(path: Path, data: Sequence[Path]) -> _Thumbnail:
    above = next((folder for folder in data if path.is_relative_to(folder)), path.parent)
    folder = path.parent.relative_to(above) if len(data) == 1 else path.parent
    return _Thumbnail(_format_text(folder), _format_text(Path(path.name)), _make_thumbnail(path))


def _make_thumbnail(path: Path) -> str | None:
    """Return the picture as a data: URI, or None where there is none."""
    try:
        _, picture = read_image(path, max_pixels=_SMALL_ENOUGH, max_side=WORKING_SIDE)
    except BadPhoto:
        return None
    image = Image.fromarray(picture.pixels)
    image.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE), Image.Resampling.BILINEAR)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=75)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _format_text(path: Path) -> str:
    return escape_unprintable(format_path(path))
