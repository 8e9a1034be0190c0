"""How the configuration's text is changed, and how a bundle is spelled in it."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.config import BUILT_IN_BUNDLE
from worker.errors import ConfigError
from worker.registry.choice import replace_bundle_key, spell_folder

PATH = Path("config.toml")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '[model]\nbundle = "new"\n'),
        (
            "# mine\n[model]\nbundle = 'old'   # chosen in May\nprocesses = 2 # all\n\n# more\n[log]\n",
            '# mine\n[model]\nbundle = "new"   # chosen in May\nprocesses = 2 # all\n\n# more\n[log]\n',
        ),
        (
            "[model] # mine\nprocesses = 2\n\n# about the log\n[log]\n",
            '[model] # mine\nbundle = "new"\nprocesses = 2\n\n# about the log\n[log]\n',
        ),
        ("[model]\r\nprocesses = 2\r\n", '[model]\r\nbundle = "new"\r\nprocesses = 2\r\n'),
        ("[log]\nlevel = 'info'\n", "[log]\nlevel = 'info'\n\n[model]\nbundle = \"new\"\n"),
        ('model.bundle = "old" # a\nlog.level = "info"\n', 'model.bundle = "new" # a\nlog.level = "info"\n'),
        ("model = { bundle = 'old', processes = 2 }\n", 'model = { bundle = "new", processes = 2 }\n'),
    ],
)
def test_only_the_bundle_changes_and_comments_and_order_stay(before: str, after: str) -> None:
    assert replace_bundle_key(before, "new", PATH) == after


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_any_name_is_read_back_as_it_was_written(name: str) -> None:
    for before in ("", "[model]\nprocesses = 1\n", 'model.bundle = "old"\n'):
        assert tomllib.loads(replace_bundle_key(before, name, PATH))["model"]["bundle"] == name


def test_text_that_only_looks_like_the_table_is_not_changed() -> None:
    before = 'folders.root = """\n[model]\n"""\n'
    with pytest.raises(ConfigError, match="by hand"):
        replace_bundle_key(before, "new", PATH)


@pytest.mark.parametrize(
    ("folder", "spelling"),
    [
        (BUILT_IN_BUNDLE, "default"),
        (Path("/home/me/bundles/new"), "bundles/new"),
        (Path("/home/me/default"), "./default"),
        (Path("/home/me/~new"), "/home/me/~new"),
        (Path("/home/you/new"), "/home/you/new"),
    ],
)
def test_a_bundle_below_the_configuration_is_spelled_relative_to_it(folder: Path, spelling: str) -> None:
    assert spell_folder(folder, Path("/home/me")) == spelling


def test_a_name_that_toml_cannot_hold_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"new-\\xff: its name is not UTF-8"):
        spell_folder(Path("/home/me/new-\udcff"), Path("/home/me"))
