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
from trainer.data.audit.findings import CERTAIN, Finding, Judged, Kind
from trainer.data.dataset import read_file
from worker.errors import BadPhoto, ConfigError, MoodsortError
from worker.paths import printable, shown

_MOST_FINDINGS = 60
_MOST_PICTURES = 8
"""Of each kind and of each finding: with 4 kB a picture the page stays under about 10 MB."""

_SMALL_ENOUGH = 250_000_000
"""Pixels of the largest picture that is worth the time that its thumbnail takes."""

_THUMBNAIL_SIDE = 150

TITLES = {
    Kind.UNREADABLE: "Unreadable files",
    Kind.TWO_CLASSES: "The same file in two classes",
    Kind.ACROSS_PARTS: "The same file in two parts",
    Kind.EXACT_DUPLICATE: "Exact duplicates",
    Kind.FEW_PICTURES: "Classes of too few pictures",
    Kind.NEAR_TWO_CLASSES: "Near-duplicates in two classes",
    Kind.NEAR_ACROSS_PARTS: "Near-duplicates in two parts",
    Kind.WRONG_LABEL: "Likely wrong labels",
    Kind.NEAR_DUPLICATE: "Near-duplicates",
    Kind.RARE_CLASS: "Rare classes",
    Kind.TINY: "Tiny pictures",
    Kind.DARK: "Dark pictures",
    Kind.BLURRED: "Blurred pictures",
}

_ADVICE = {
    Kind.UNREADABLE: "Training leaves them out, and the worker would quarantine them. --fix moves them away.",
    Kind.TWO_CLASSES: "One of the classes is wrong. Keep the picture in the right one.",
    Kind.ACROSS_PARTS: "What was learned by heart is no test. --fix keeps the copy of the test.",
    Kind.EXACT_DUPLICATE: "Copies weigh a picture more than others. --fix keeps one of each.",
    Kind.FEW_PICTURES: "Training refuses such a class. Add pictures, or take its folder away.",
    Kind.NEAR_TWO_CLASSES: "Resized, re-encoded, cropped or mirrored copies with different labels: keep one.",
    Kind.NEAR_ACROSS_PARTS: "Figures measured on them flatter. Move them to one part.",
    Kind.WRONG_LABEL: "A simple model of the other pictures disagrees. Many are right: look at each.",
    Kind.NEAR_DUPLICATE: "Training keeps them in one part, which is enough unless they are many.",
    Kind.RARE_CLASS: "Training weighs classes alike, but a rare one is known by few examples: add pictures.",
    Kind.TINY: "Little can be seen in them. Look for larger versions.",
    Kind.DARK: "Little can be seen in them.",
    Kind.BLURRED: "Useful where the photos to be judged are blurred as well, else not.",
}


@dataclass(frozen=True, slots=True)
class _Picture:
    folder: str
    name: str
    thumbnail: str | None


@dataclass(frozen=True, slots=True)
class _Shown:
    detail: str
    pictures: tuple[_Picture, ...]
    more: int


@dataclass(frozen=True, slots=True)
class _Section:
    kind: Kind
    title: str
    advice: str
    is_certain: bool
    count: int
    findings: tuple[_Shown, ...]
    more: int


def check_page(path: Path) -> None:
    """Raise ConfigError where the page would not be one, or would take another file's place."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"{shown(path)}: a page ends in .html; give --page another name")
    if path.is_dir():
        raise ConfigError(f"{shown(path)}: is a folder; give --page another name")
    if not path.parent.is_dir():
        raise ConfigError(f"{shown(path.parent)}: is not a folder; make it, or give --page another name")


def write_page(path: Path, data: Sequence[Path], examination: Examination, judged: Judged) -> None:
    """Write the page; an older one stays until the new one is whole. Raises MoodsortError."""
    from jinja2 import Environment

    # Names are hostile: everything but the template is escaped.
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        files("trainer.data.audit").joinpath("page.html").read_text("utf-8")
    )
    text = template.render(
        title=", ".join(_text(folder) for folder in data),
        summary=summary(examination),
        notes=judged.notes,
        sections=list(_sections(judged.findings, data)),
    )
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, "utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise MoodsortError(f"{shown(path)}: cannot be written ({error.strerror}); check --page") from error


def summary(examination: Examination) -> str:
    """Say how many pictures there are of each class."""
    labels = Counter(picture.file.label for picture in examination.pictures)
    counts = ", ".join(f"{labels[name]} {printable(name)}" for name in examination.classes)
    unread = len(examination.unread)
    also = f" and {unread} unreadable {'file' if unread == 1 else 'files'}" if unread else ""
    return f"{labels.total()} pictures ({counts}){also}"


def _sections(findings: Sequence[Finding], data: Sequence[Path]) -> Iterator[_Section]:
    for kind, each in groupby(findings, key=lambda finding: finding.kind):
        of_kind = list(each)
        yield _Section(
            kind=kind,
            title=TITLES[kind],
            advice=_ADVICE[kind],
            is_certain=kind in CERTAIN,
            count=len(of_kind),
            findings=tuple(_shown(finding, data) for finding in of_kind[:_MOST_FINDINGS]),
            more=max(0, len(of_kind) - _MOST_FINDINGS),
        )


def _shown(finding: Finding, data: Sequence[Path]) -> _Shown:
    pictures = tuple(_picture(path, data) for path in islice(finding.paths, _MOST_PICTURES))
    return _Shown(printable(finding.detail), pictures, max(0, len(finding.paths) - _MOST_PICTURES))


def _picture(path: Path, data: Sequence[Path]) -> _Picture:
    above = next((folder for folder in data if path.is_relative_to(folder)), path.parent)
    folder = path.parent.relative_to(above) if len(data) == 1 else path.parent
    return _Picture(_text(folder), _text(Path(path.name)), _thumbnail(path))


def _thumbnail(path: Path) -> str | None:
    """Return the picture as a data: URI, or None where there is none."""
    try:
        _, picture = read_file(path, max_pixels=_SMALL_ENOUGH, working_side=WORKING_SIDE)
    except BadPhoto:
        return None
    image = Image.fromarray(picture.pixels)
    image.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE), Image.Resampling.BILINEAR)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=75)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _text(path: Path) -> str:
    return printable(shown(path))
