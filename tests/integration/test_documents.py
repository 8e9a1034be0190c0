"""What the documents say of commands, files and dependencies is true."""

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

import click
import pytest

from docs.write_commands import PAGE, list_commands, list_options, render_page
from worker.cli import moodsort

PROJECT = Path(__file__).parents[2]

CARD = PROJECT / "worker/bundles/default/MODEL_CARD.md"
DOCUMENTS = (*sorted(PROJECT.glob("*.md")), *sorted(PROJECT.glob("docs/*.md")), CARD)
"""Every document; the changelog also names what is no more."""

CURRENT = tuple(path for path in DOCUMENTS if path.name != "CHANGELOG.md")
"""The documents that speak of the present alone."""

CONTEXTS = list(list_commands(moodsort, click.Context(moodsort, info_name="moodsort")))

_FENCED_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_CODE_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_MODULE = re.compile(r"(?:worker|trainer|tests|migrations|docs)(?:\.\w+)+")
_REDIRECTION = re.compile(r"\d?[<>]+&?\s*\S+")
_SEPARATORS = {"|", "||", "&", "&&", ";"}
_LAUNCHERS = {"nohup", "sudo"}
_MAX_PICTURE_BYTES = 300_000


def read_blocks(path: Path, language: str) -> Iterator[str]:
    """Yield what the fenced blocks of a language hold, with lines joined that end in a backslash."""
    for block_language, body in _FENCED_BLOCK.findall(path.read_text(encoding="utf-8")):
        if block_language == language:
            yield body.replace("\\\n", " ")


def read_code_spans(path: Path) -> list[str]:
    """Return what is between single backquotes outside of fenced blocks; a span may go over a line's end."""
    text = _FENCED_BLOCK.sub("", path.read_text(encoding="utf-8"))
    return _CODE_SPAN.findall(re.sub(r"(?<=\S)\n(?=\S)", " ", text))


def split_commands(line: str) -> Iterator[list[str]]:
    """Yield the words of each command of a line of shell, without its redirections and its comment."""
    tokens = shlex.shlex(_REDIRECTION.sub(" ", line), posix=True, punctuation_chars="|&;")
    tokens.whitespace_split = True
    words: list[str] = []
    for token in tokens:
        if token in _SEPARATORS:
            yield words
            words = []
        else:
            words.append(token)
    yield words


def find_command_lines(shell: str) -> Iterator[list[str]]:
    """Yield the arguments of every call of moodsort in some lines of shell."""
    for line in shell.splitlines():
        for words in split_commands(line):
            while words and words[0] in _LAUNCHERS:
                words = words[1:]
            if words and Path(words[0]).name == "moodsort":
                yield words[1:]


COMMAND_LINES = {
    f"{path.name}: moodsort {shlex.join(arguments)}": arguments
    for path in CURRENT
    for block in read_blocks(path, "sh")
    for arguments in find_command_lines(block)
}

CODE_SPANS = {
    f"{path.name}: {span}": span.split()[1:]
    for path in CURRENT
    for span in read_code_spans(path)
    if span.startswith("moodsort ") and "…" not in span
}


@pytest.fixture
def parser(monkeypatch: pytest.MonkeyPatch) -> click.Group:
    """Give the command line as it parses, without running a command or asking for a file to be there."""
    monkeypatch.setattr(click.Command, "invoke", lambda self, context: None)
    monkeypatch.setattr(click.Path, "convert", lambda self, value, parameter, context: Path(value))
    return moodsort


def test_the_page_of_commands_is_what_the_commands_say_of_themselves() -> None:
    assert PAGE.read_text(encoding="utf-8") == render_page(), "type: make docs"


@pytest.mark.parametrize("context", CONTEXTS, ids=lambda context: context.command_path)
def test_every_command_and_option_is_documented(context: click.Context) -> None:
    sections = PAGE.read_text(encoding="utf-8").split("\n## ")
    section = next((text for text in sections if text.partition("\n")[0] == context.command_path), "")
    assert section, f"{context.command_path} is missing from {PAGE.name}; type: make docs"
    documented = set(re.findall(r"--?[a-z][a-z-]*", section))
    assert set(list_options(context.command)) - documented == set()


def test_the_documents_show_commands() -> None:
    assert len(COMMAND_LINES) > 50
    assert len(CODE_SPANS) > 5


@pytest.mark.parametrize("arguments", COMMAND_LINES.values(), ids=COMMAND_LINES)
def test_every_command_line_in_the_documents_parses(parser: click.Group, arguments: list[str]) -> None:
    parser.main(arguments, "moodsort", standalone_mode=False)


@pytest.mark.parametrize("arguments", CODE_SPANS.values(), ids=CODE_SPANS)
def test_every_command_named_in_a_sentence_exists(parser: click.Group, arguments: list[str]) -> None:
    # A sentence names a command and perhaps an option, not all that a call needs.
    with suppress(click.MissingParameter, click.exceptions.NoArgsIsHelpError):
        parser.main(arguments, "moodsort", standalone_mode=False)


def test_the_command_of_the_built_in_manifest_parses(parser: click.Group) -> None:
    command = json.loads(CARD.with_name("manifest.json").read_bytes())["command"]
    command_lines = list(find_command_lines(command))
    assert len(command_lines) == 5
    for arguments in command_lines:
        parser.main(arguments, "moodsort", standalone_mode=False)


def test_a_wrong_option_in_a_document_would_be_noticed(parser: click.Group) -> None:
    (arguments,) = find_command_lines("nohup .venv/bin/moodsort run --twice >out 2>&1 &  # for years")
    assert arguments == ["run", "--twice"]
    with pytest.raises(click.NoSuchOption):
        parser.main(arguments, "moodsort", standalone_mode=False)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    for link in _LINK.findall(document.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.is_file(), link
        assert not anchor or anchor in list_anchors(target), link


def list_anchors(document: Path) -> set[str]:
    """Return the anchors that a page of Markdown has for its headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", CURRENT, ids=lambda path: path.name)
def test_every_module_that_is_named_exists(document: Path) -> None:
    names = {name for span in read_code_spans(document) for name in _MODULE.findall(span) if "/" not in span}
    assert {name for name in names if not is_defined(name)} == set()


def test_every_symbol_of_the_architecture_is_in_the_code() -> None:
    spans = read_code_spans(PROJECT / "ARCHITECTURE.md")
    symbols = {word for span in spans for word in re.findall(r"[A-Za-z_]\w*", span) if is_symbol(word)}
    assert {"Worker", "plan_recovery", "min_confidence"} <= symbols
    sources = [path for folder in ("worker", "trainer") for path in (PROJECT / folder).rglob("*.py")]
    words = {word for path in sources for word in re.findall(r"\w+", path.read_text(encoding="utf-8"))}
    assert symbols - words == set()


def is_symbol(word: str) -> bool:
    """Tell whether a word is the name of a class, or of more than one word, and so not plain English."""
    return word[0].isupper() or "_" in word


def is_defined(name: str) -> bool:
    """Tell whether a dotted name is that of a module, or of what a module defines at its top."""
    parts = name.split(".")
    path = PROJECT.joinpath(*parts)
    if path.is_dir() or path.with_suffix(".py").is_file():
        return True
    module = PROJECT.joinpath(*parts[:-1])
    file = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
    return file.is_file() and parts[-1] in list_definitions(file)


def list_definitions(file: Path) -> set[str]:
    """Return the names of the classes and functions of a module."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}


@pytest.mark.parametrize("document", CURRENT, ids=lambda path: path.name)
def test_every_target_of_make_that_is_named_exists(document: Path) -> None:
    targets = re.findall(r"^(\w+):", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    calls = [*read_code_spans(document), *"\n".join(read_blocks(document, "sh")).splitlines()]
    assert {match[1] for call in calls if (match := re.match(r"make (\w+)", call))} <= set(targets)


def test_the_reason_for_every_dependency_is_given() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    requirements = {*project["dependencies"], *chain(*project["optional-dependencies"].values())}
    names = {re.match(r"[\w-]+", requirement)[0] for requirement in requirements} - {project["name"]}
    text = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", text.partition("## Why each dependency")[2], re.MULTILINE)
    explained = {name for row in rows for name in re.split(r", | \(", row)}
    assert names - explained == set()


def test_the_pictures_of_the_documents_are_small() -> None:
    pictures = list(PROJECT.glob("docs/pictures/*"))
    assert {path.suffix for path in pictures} == {".jpg", ".png", ".svg"}
    assert sum(path.stat().st_size for path in pictures) < _MAX_PICTURE_BYTES


def test_the_terminal_in_the_documents_has_80_columns() -> None:
    svg = (PROJECT / "docs/pictures/session.svg").read_text(encoding="utf-8")
    lines = re.findall(r'x="0" y="[\d.]+" textLength="([\d.]+)"', svg)
    assert "@font-face" not in svg
    assert max(map(float, lines)) < 81 * 12.2
