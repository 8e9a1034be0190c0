"""The bundle's contract: whatever is wrong with one is told with file, field and remedy."""

import copy
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.scene_bundle import make_scene_bundle, make_scene_manifest
from worker.config import BUILT_IN_BUNDLE
from worker.errors import BundleError
from worker.inference.bundle import MANIFEST_NAME, Faces, Manifest, load_bundle, write_manifest
from worker.inference.predictor import Predictor

Table = dict[str, Any]

ONE_READER: Table = make_scene_manifest()

FACES = {"least_score": 0.5, "most": 8, "face": 1.0, "whole": 0.5, "alone": 1.0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_scene_bundle(tmp_path / "bundle")


def rewrite(folder: Path, change: Callable[[Table], object]) -> None:
    table = copy.deepcopy(ONE_READER)
    change(table)
    (folder / MANIFEST_NAME).write_text(json.dumps(table), encoding="utf-8")


def refusal(folder: Path) -> list[str]:
    with pytest.raises(BundleError) as refused:
        load_bundle(folder)
    return str(refused.value).splitlines()


def fields_of(table: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """List the way to each field of a manifest; of a list's items only the first's."""
    if isinstance(table, dict) and path != ("libraries",):
        below = [fields_of(table[key], (*path, key)) for key in table]
        return [(*path, key) for key in table] + [way for ways in below for way in ways]
    if isinstance(table, list) and table and isinstance(table[0], dict):
        return fields_of(table[0], (*path, 0))
    return []


def at(table: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        table = table[step]
    return table


FIELDS = fields_of(ONE_READER)


def test_the_built_in_bundle_passes_its_own_test() -> None:
    Predictor(load_bundle(BUILT_IN_BUNDLE)).self_test()


def test_a_manifest_is_read_as_it_was_written(folder: Path) -> None:
    before = load_bundle(folder)
    write_manifest(folder, before.manifest)
    assert load_bundle(folder) == before


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: ".".join(map(str, field)))
def test_a_missing_field_is_refused_by_name(folder: Path, field: tuple[str | int, ...]) -> None:
    rewrite(folder, lambda table: at(table, field[:-1]).pop(field[-1]))
    (line,) = refusal(folder)
    assert line.startswith(f"{folder / MANIFEST_NAME}: ")
    assert f"{field[-1]} is missing; train it again" in line


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: ".".join(map(str, field)))
def test_a_field_of_another_type_is_refused_by_name(folder: Path, field: tuple[str | int, ...]) -> None:
    def spoil(table: Table) -> None:
        at(table, field[:-1])[field[-1]] = [{"never": "meant"}]

    rewrite(folder, spoil)
    lines = refusal(folder)
    assert any(str(field[-1]) in line for line in lines)


@pytest.mark.parametrize(
    "owner",
    sorted({field[:-1] for field in FIELDS}, key=str),
    ids=lambda owner: ".".join(map(str, owner)) or "top",
)
def test_an_unknown_field_is_refused_by_name(folder: Path, owner: tuple[str | int, ...]) -> None:
    rewrite(folder, lambda table: at(table, owner).update(unheard_of=1))
    (line,) = refusal(folder)
    assert "unheard_of is not a key here" in line


def test_a_newer_format_says_to_upgrade_whatever_else_it_holds(folder: Path) -> None:
    rewrite(folder, lambda table: table.update(format_version=3, novelty=True))
    (line,) = refusal(folder)
    assert line.endswith("format_version is 3, this moodsort reads 2; upgrade moodsort")


def test_an_older_format_says_to_train_again_whatever_it_lacks(folder: Path) -> None:
    rewrite(folder, lambda table: (table.update(format_version=1), table.pop("faces")))
    (line,) = refusal(folder)
    assert line.endswith("format_version is 1, this moodsort reads 2; train it again")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format_version": 0}, "format_version is 0"),
        ({"version": "0" * 12}, "version is not the hash of the weights"),
        ({"classes": ["happy"]}, "classes is ['happy'], but takes two or more"),
        ({"classes": ["happy", "happy"]}, "but takes two or more different names"),
        ({"decision_threshold": 1.5}, "decision_threshold is 1.5"),
        ({"classes": ["a", "b", "c"], "decision_threshold": 0.5}, "decision_threshold takes two classes"),
        ({"stages": []}, "stages has none, but takes whole readers alone, or whole finder, face readers"),
        (
            {"stages": [ONE_READER["stages"][-1], ONE_READER["stages"][-1] | {"view": "face"}]},
            "stages has whole reader, face reader, but takes",
        ),
        ({"faces": FACES}, "faces is given, but no stage finds faces"),
        ({"max_side": 4}, "max_side is 4, but takes from 16 to 8192"),
        ({"calibration": {"method": "temperature", "temperature": 0}}, "calibration.temperature is 0"),
        ({"calibration": {"method": "magic", "temperature": 1}}, "calibration.method is 'magic'"),
    ],
)
def test_a_contradiction_is_refused_by_its_field(folder: Path, change: Table, told: str) -> None:
    rewrite(folder, lambda table: table.update(change))
    lines = refusal(folder)
    assert any(told in line for line in lines)
    assert all(line.endswith("; train it again") for line in lines)


@pytest.mark.parametrize(
    "name", ["", "a/b", "..", ".hidden", "nul\0", "two\nlines", "\ud800", "n" * 256, "ü" * 128]
)
def test_a_class_whose_name_no_folder_can_bear_is_refused(folder: Path, name: str) -> None:
    rewrite(folder, lambda table: table.update(classes=["happy", name]))
    (line,) = refusal(folder)
    assert "each has to serve as a folder's name; train it again" in line


@pytest.mark.parametrize("name", ["reader.tflite", "golden.npz"])
def test_one_flipped_bit_is_refused_with_its_file(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    assert refusal(folder) == [f"{folder / name}: its SHA-256 is not the manifest's; copy the bundle again"]


@pytest.mark.parametrize("name", ["reader.tflite", "golden.npz"])
def test_a_file_that_is_missing_is_refused_by_name(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (line,) = refusal(folder)
    assert line.startswith(f"{folder / name}: cannot be read (")


@pytest.mark.parametrize("text", ["", "{", "[1, 2", "\xff", "[" * 100_000, '{"a": ' + "9" * 5000 + "}"])
def test_a_manifest_that_is_no_json_is_refused_on_one_line(folder: Path, text: str) -> None:
    (folder / MANIFEST_NAME).write_text(text, encoding="latin-1")
    (line,) = refusal(folder)
    assert "is not JSON" in line


@pytest.mark.parametrize("text", ["null", "[]", "3", '"text"'])
def test_a_manifest_that_is_no_table_is_refused(folder: Path, text: str) -> None:
    (folder / MANIFEST_NAME).write_text(text, encoding="utf-8")
    assert "but takes a table" in refusal(folder)[0]


def test_a_folder_without_a_manifest_says_what_to_name(tmp_path: Path) -> None:
    assert refusal(tmp_path) == [
        f"{tmp_path / MANIFEST_NAME}: is not there; name a bundle's folder in model.bundle"
    ]


# Bundles that find faces: one network stands in for each, for nothing is run here.


def with_faces(change: Callable[[Table], object] = lambda table: None) -> Callable[[Table], object]:
    def changed(table: Table) -> None:
        finder, face, whole = (copy.deepcopy(table["stages"][0]) for _ in range(3))
        finder["role"], face["view"] = "finder", "face"
        finder["input"] = {"width": 320, "height": 240, "colour": "rgb", "resize": "letterbox"}
        table["stages"], table["faces"] = [finder, face, whole], dict(FACES)
        table["version"] = hashlib.sha256(3 * whole["sha256"].encode()).hexdigest()[:12]
        change(table)

    return changed


def test_a_bundle_may_find_faces_and_read_them_beside_the_whole_picture(folder: Path) -> None:
    rewrite(folder, with_faces())
    manifest = load_bundle(folder).manifest
    assert [(stage.role, stage.view) for stage in manifest.stages] == [
        ("finder", "whole"),
        ("reader", "face"),
        ("reader", "whole"),
    ]
    assert manifest.faces == Faces(**FACES)
    write_manifest(folder, manifest)
    assert load_bundle(folder).manifest == manifest


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda table: table.update(faces=None), "faces is null, but a stage finds faces"),
        (lambda table: table["faces"].pop("alone"), "faces.alone is missing"),
        (lambda table: table["faces"].update(most=0), "faces.most is 0, but takes from 1 to 1000"),
        (lambda table: table["faces"].update(least_score=1.1), "faces.least_score is 1.1"),
        (lambda table: table["faces"].update(face=-1), "faces.face is -1"),
        (lambda table: table["faces"].update(weight=1), "faces.weight is not a key here"),
        (lambda table: table["stages"][0].update(role="seer"), "stages[0].role is 'seer'"),
        (lambda table: table["stages"][1].update(view="hand"), "stages[1].view is 'hand'"),
        (lambda table: table["stages"].pop(), "stages has whole finder, face reader, but takes"),
        (lambda table: table["stages"].reverse(), "stages has whole reader, face reader, whole finder"),
        (lambda table: table["stages"][0]["input"].update(width=321), "the finder's input is 321 × 240"),
        (lambda table: table["stages"][0]["input"].update(colour="grey"), "240, grey, letterbox, but takes"),
        (lambda table: table["stages"][0]["input"].update(resize="stretch"), "rgb, stretch, but takes"),
    ],
)
def test_a_contradiction_about_faces_is_refused_on_one_line(
    folder: Path, change: Callable[[Table], object], told: str
) -> None:
    def changed(table: Table) -> None:
        with_faces(change)(table)
        hashes = "".join(stage["sha256"] for stage in table["stages"])
        table["version"] = hashlib.sha256(hashes.encode()).hexdigest()[:12]

    rewrite(folder, changed)
    (line,) = refusal(folder)
    assert told in line
    assert line.endswith("; train it again")


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("kind", ["network", "golden"])
def test_every_file_of_every_stage_is_checked_by_its_hash(folder: Path, part: int, kind: str) -> None:
    def changed(table: Table) -> None:
        stage = table["stages"][part]
        owner = stage["golden"] if kind == "golden" else stage
        shutil.copy(folder / owner["file"], folder / "own")
        owner["file"] = "own"

    rewrite(folder, with_faces(changed))
    assert load_bundle(folder).manifest.faces
    with (folder / "own").open("ab") as file:
        file.write(b"more")
    assert refusal(folder) == [f"{folder / 'own'}: its SHA-256 is not the manifest's; copy the bundle again"]


# What only the network or its answers show: the hashes are made to hold.


def rehash(folder: Path, change: Callable[[Table], object] = lambda table: None) -> None:
    def hashes(table: Table) -> None:
        (stage,) = table["stages"]
        for part in (stage, stage["golden"]):
            part["sha256"] = hashlib.sha256((folder / part["file"]).read_bytes()).hexdigest()
        table["version"] = hashlib.sha256(stage["sha256"].encode()).hexdigest()[:12]
        change(table)

    rewrite(folder, hashes)


def test_a_network_that_litert_refuses_is_refused_by_its_file(folder: Path) -> None:
    (folder / "reader.tflite").write_bytes(b"no network")
    rehash(folder)
    with pytest.raises(BundleError, match=r"reader\.tflite: cannot be loaded"):
        Predictor(load_bundle(folder))


def test_a_network_of_another_shape_than_the_manifest_says_is_refused(folder: Path) -> None:
    rehash(folder, lambda table: table["stages"][0]["input"].update(width=7))
    with pytest.raises(BundleError, match=r"reader\.tflite: takes uint8"):
        Predictor(load_bundle(folder))


def test_answers_that_are_not_the_golden_ones_are_refused(folder: Path) -> None:
    with np.load(folder / "golden.npz") as arrays:
        inputs, answers = arrays["inputs"], arrays["answers"]
    np.savez(folder / "golden.npz", inputs=inputs, answers=answers + 1)
    rehash(folder)
    with pytest.raises(BundleError, match="logits differ from the golden ones by 1 "):
        Predictor(load_bundle(folder)).self_test()


@pytest.mark.parametrize(
    "arrays",
    [
        {"inputs": np.zeros((1, 3, 3, 3), np.uint8), "answers": np.zeros((1, 2), np.float32)},
        {"inputs": np.zeros((0, 96, 96, 3), np.uint8), "answers": np.zeros((0, 2), np.float32)},
        {"inputs": np.zeros((1, 96, 96, 3), np.float32), "answers": np.zeros((1, 2), np.float32)},
        {"inputs": np.zeros((1, 96, 96, 3), np.uint8), "answers": np.zeros((5, 7), np.float32)},
        {"other": np.zeros(1)},
    ],
    ids=["another shape", "none", "another type", "too many answers", "another name"],
)
def test_golden_inputs_that_cannot_be_run_are_refused_by_their_file(
    folder: Path, arrays: dict[str, Any]
) -> None:
    np.savez(folder / "golden.npz", **arrays)
    rehash(folder)
    with pytest.raises(BundleError, match=r"golden\.npz: "):
        Predictor(load_bundle(folder)).self_test()


def test_every_field_of_the_manifest_is_in_these_tests() -> None:
    assert {field[0] for field in FIELDS} == set(Manifest.__dataclass_fields__)
