"""The bundle's contract: whatever is wrong with one is reported with file, field and remedy."""

import copy
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.drawing import draw_pixels
from tests.face_networks import FACE_SIDE, GREEN, HAPPY, SAD, draw_people, make_joint_bundle
from tests.scene_bundle import make_scene_bundle, make_scene_manifest
from worker.config import BUILT_IN_BUNDLE
from worker.errors import BundleError
from worker.fileio import hash_file
from worker.inference.bundle import MANIFEST_NAME, load_bundle, write_manifest
from worker.inference.decode import Picture
from worker.inference.manifest import (
    Calibration,
    DetectionSettings,
    Fusion,
    Golden,
    InputSpec,
    Manifest,
    NetworkSpec,
    OutputSpec,
    derive_version,
)
from worker.inference.network import Network
from worker.inference.predictor import Predictor

Table = dict[str, Any]
Change = Callable[[Table], object]
FieldPath = tuple[str | int, ...]

DETECTION = {"score_threshold": 0.5, "max_faces": 8}
FUSION = {"face_weight": 1.0, "scene_weight": 0.5, "no_face_weight": 1.0}


def make_version(table: Table) -> str:
    hashes = "".join(network["sha256"] for network in table["networks"])
    return hashlib.sha256(hashes.encode()).hexdigest()[:12]


def make_face_manifest() -> Table:
    """Make the manifest of a bundle that detects faces; one file stands in for each of its networks."""
    table = make_scene_manifest()
    detector, face, scene = (copy.deepcopy(table["networks"][0]) for _ in range(3))
    detector["outputs"][0]["kind"], face["reads"] = "heatmap", "face"
    detector["input"] = {"width": 320, "height": 240, "colour": "rgb", "resize": "letterbox"}
    table |= {"networks": [detector, face, scene], "detection": dict(DETECTION), "fusion": dict(FUSION)}
    return table | {"version": make_version(table)}


SCENE_TABLE = make_scene_manifest()
FACE_TABLE = make_face_manifest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_scene_bundle(tmp_path / "bundle")


def rewrite(folder: Path, original: Table, change: Change) -> None:
    table = copy.deepcopy(original)
    change(table)
    (folder / MANIFEST_NAME).write_text(json.dumps(table), encoding="utf-8")


def rewrite_networks(folder: Path, original: Table, change: Change) -> None:
    """Change the manifest's networks, and its version with them."""

    def change_with_version(table: Table) -> None:
        change(table)
        table["version"] = make_version(table)

    rewrite(folder, original, change_with_version)


def list_problems(folder: Path) -> list[str]:
    """Return the lines of the error with which the bundle is refused."""
    with pytest.raises(BundleError) as refused:
        load_bundle(folder)
    return str(refused.value).splitlines()


def list_fields(table: object, path: FieldPath = ()) -> list[FieldPath]:
    """List the path of each field of a manifest; for the items of a list only those of the first."""
    if isinstance(table, dict) and path != ("libraries",):
        nested_paths = [list_fields(table[key], (*path, key)) for key in table]
        return [(*path, key) for key in table] + [field for paths in nested_paths for field in paths]
    if isinstance(table, list) and table and isinstance(table[0], dict):
        return list_fields(table[0], (*path, 0))
    return []


def follow(table: Any, path: FieldPath) -> Any:
    for step in path:
        table = table[step]
    return table


def format_field(path: FieldPath) -> str:
    return ".".join(map(str, path)) or "top"


FIELDS = list_fields(FACE_TABLE)

each_field = pytest.mark.parametrize("field", FIELDS, ids=format_field)


def test_the_built_in_bundle_passes_its_self_test() -> None:
    Predictor(load_bundle(BUILT_IN_BUNDLE)).self_test()


def test_a_manifest_is_read_as_it_was_written(folder: Path) -> None:
    before = load_bundle(folder)
    write_manifest(folder, before.manifest)
    assert load_bundle(folder) == before


def test_a_manifest_of_several_networks_is_read_as_it_was_written(folder: Path) -> None:
    rewrite(folder, FACE_TABLE, lambda table: None)
    manifest = load_bundle(folder).manifest
    assert [(network.reads, network.outputs[0].kind) for network in manifest.networks] == [
        ("scene", "heatmap"),
        ("face", "logits"),
        ("scene", "logits"),
    ]
    assert manifest.detection == DetectionSettings(**DETECTION)  # type: ignore[arg-type]
    assert manifest.fusion == Fusion(**FUSION)
    write_manifest(folder, manifest)
    assert load_bundle(folder).manifest == manifest


# One field


@each_field
def test_a_missing_field_is_refused_by_name(folder: Path, field: FieldPath) -> None:
    rewrite(folder, FACE_TABLE, lambda table: follow(table, field[:-1]).pop(field[-1]))
    (line,) = list_problems(folder)
    assert line.startswith(f"{folder / MANIFEST_NAME}: ")
    assert f"{field[-1]} is missing; train it again" in line


@each_field
def test_a_field_of_another_type_is_refused_by_name(folder: Path, field: FieldPath) -> None:
    def spoil(table: Table) -> None:
        follow(table, field[:-1])[field[-1]] = [{"never": "meant"}]

    rewrite(folder, FACE_TABLE, spoil)
    assert any(str(field[-1]) in line for line in list_problems(folder))


@pytest.mark.parametrize("owner", sorted({field[:-1] for field in FIELDS}, key=str), ids=format_field)
def test_an_unknown_field_is_refused_by_name(folder: Path, owner: FieldPath) -> None:
    rewrite(folder, FACE_TABLE, lambda table: follow(table, owner).update(unheard_of=1))
    (line,) = list_problems(folder)
    assert "unheard_of is not a key here" in line


def test_a_newer_format_says_to_upgrade_whatever_else_it_holds(folder: Path) -> None:
    rewrite(folder, SCENE_TABLE, lambda table: table.update(format_version=4, novelty=True))
    (line,) = list_problems(folder)
    assert line.endswith("format_version is 4, this moodsort reads 3; upgrade moodsort")


@pytest.mark.parametrize("version", [2, 1, 0, -1])
def test_an_older_format_says_to_train_again_whatever_it_lacks(folder: Path, version: int) -> None:
    rewrite(folder, SCENE_TABLE, lambda table: (table.update(format_version=version), table.pop("fusion")))
    (line,) = list_problems(folder)
    assert line.endswith(f"format_version is {version}, this moodsort reads 3; train it again")


@pytest.mark.parametrize("version", ["3", 3.0, True, None])
def test_a_format_version_that_is_no_whole_number_is_refused_by_name(folder: Path, version: object) -> None:
    rewrite(folder, SCENE_TABLE, lambda table: table.update(format_version=version))
    (line,) = list_problems(folder)
    assert f"format_version is {version!r}, but takes a whole number; train it again" in line


# Contradictions


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"version": "0" * 12}, "version is not the hash of the weights"),
        ({"classes": ["happy"]}, "classes is ['happy'], but takes two or more"),
        ({"classes": ["happy", "happy"]}, "but takes two or more different names"),
        ({"max_side": 4}, "max_side is 4, but takes from 16 to 8192"),
        ({"detection": DETECTION}, "detection is given, but no network detects faces"),
        ({"fusion": FUSION}, "fusion is given, but no network detects faces"),
        ({"networks": []}, "networks has none, but takes scene classifiers alone, or what gives the heatmap"),
    ],
)
def test_a_contradiction_is_refused_by_its_field(folder: Path, change: Table, problem: str) -> None:
    rewrite(folder, SCENE_TABLE, lambda table: table.update(change))
    lines = list_problems(folder)
    assert any(problem in line for line in lines)
    assert all(line.endswith("; train it again") for line in lines)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"temperature": 0}, "calibration.temperature is 0"),
        ({"method": "magic"}, "calibration.method is 'magic'"),
        ({"biases": [0.5, -11]}, "calibration.biases[1] is -11, but takes from -10 to 10"),
        ({"biases": [0.0]}, "calibration.biases has 1, but takes one for each of 2 classes"),
    ],
)
def test_a_calibration_out_of_bounds_is_refused_by_its_field(
    folder: Path, change: Table, problem: str
) -> None:
    rewrite(folder, SCENE_TABLE, lambda table: table["calibration"].update(change))
    (line,) = list_problems(folder)
    assert problem in line
    assert line.endswith("; train it again")


def test_every_contradiction_is_reported_at_once(folder: Path) -> None:
    rewrite(folder, SCENE_TABLE, lambda table: table.update(classes=["a", "a"], version="", fusion=FUSION))
    lines = list_problems(folder)
    assert [line.split(": ")[1].split()[0] for line in lines] == ["classes", "fusion", "version"]


@pytest.mark.parametrize(
    "name", ["", "a/b", "..", ".hidden", "nul\0", "two\nlines", "\ud800", "n" * 256, "ü" * 128]
)
def test_a_class_whose_name_no_folder_can_bear_is_refused(folder: Path, name: str) -> None:
    rewrite(folder, SCENE_TABLE, lambda table: table.update(classes=["happy", name]))
    (line,) = list_problems(folder)
    assert "each has to serve as a folder's name; train it again" in line


DETECTOR, FACE, SCENE = FACE_TABLE["networks"]
JOINT = DETECTOR | {"outputs": [*DETECTOR["outputs"], *SCENE["outputs"]]}


@pytest.mark.parametrize(
    ("networks", "titles"),
    [
        ([DETECTOR], "face detector"),
        ([FACE], "face classifier"),
        ([JOINT], "face detector and scene classifier"),
        ([DETECTOR, FACE], "face detector, face classifier"),
        ([DETECTOR, SCENE], "face detector, scene classifier"),
        ([FACE, SCENE], "face classifier, scene classifier"),
        ([SCENE, FACE, DETECTOR], "scene classifier, face classifier, face detector"),
        ([DETECTOR, SCENE, FACE], "face detector, scene classifier, face classifier"),
        (
            [DETECTOR, DETECTOR, FACE, SCENE],
            "face detector, face detector, face classifier, scene classifier",
        ),
        ([JOINT, DETECTOR, FACE], "face detector and scene classifier, face detector, face classifier"),
        ([DETECTOR, FACE | {"outputs": JOINT["outputs"]}, SCENE], "face detector and face classifier"),
        ([SCENE | {"outputs": []}], "network without outputs"),
        ([SCENE | {"outputs": 2 * SCENE["outputs"]}], "scene classifier and scene classifier"),
        ([JOINT | {"outputs": JOINT["outputs"][::-1]}, FACE], "scene classifier and face detector"),
    ],
    ids=str,
)
def test_networks_that_do_not_belong_together_are_refused_by_what_they_are(
    folder: Path, networks: list[Table], titles: str
) -> None:
    rewrite_networks(folder, FACE_TABLE, lambda table: table.update(networks=copy.deepcopy(networks)))
    problem, *others = list_problems(folder)
    assert f"networks has {titles}" in problem or f", {titles}, " in problem
    assert problem.endswith("face classifiers, scene classifiers; train it again")
    assert not others or "input of the" in others[0]


@pytest.mark.parametrize(
    "networks",
    [[DETECTOR, FACE, SCENE], [DETECTOR, FACE, FACE, SCENE, SCENE], [JOINT, FACE], [JOINT, FACE, SCENE]],
    ids=["one of each", "two classifiers of each kind", "a joint network", "a joint network and another"],
)
def test_networks_that_belong_together_are_loaded(folder: Path, networks: list[Table]) -> None:
    rewrite_networks(folder, FACE_TABLE, lambda table: table.update(networks=copy.deepcopy(networks)))
    assert len(load_bundle(folder).manifest.networks) == len(networks)


def test_several_scene_classifiers_alone_are_loaded(folder: Path) -> None:
    rewrite_networks(folder, SCENE_TABLE, lambda table: table.update(networks=[SCENE, SCENE]))
    assert len(load_bundle(folder).manifest.networks) == 2


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda table: table.update(detection=None), "detection is null, but a network detects faces"),
        (lambda table: table.update(fusion=None), "fusion is null, but a network detects faces"),
        (lambda table: table["detection"].update(max_faces=0), "detection.max_faces is 0, but takes from 1"),
        (lambda table: table["detection"].update(score_threshold=1.1), "detection.score_threshold is 1.1"),
        (lambda table: table["fusion"].update(face_weight=-1), "fusion.face_weight is -1"),
        (lambda table: table["networks"][1].update(reads="hand"), "networks[1].reads is 'hand'"),
        (lambda table: table["networks"][0]["outputs"][0].update(kind="boxes"), "outputs[0].kind is 'boxes'"),
        (lambda table: table["networks"][0]["outputs"][0].update(tolerance=-1), "[0].tolerance is -1"),
    ],
)
def test_a_contradiction_about_faces_is_refused_on_one_line(
    folder: Path, change: Change, problem: str
) -> None:
    rewrite(folder, FACE_TABLE, change)
    (line,) = list_problems(folder)
    assert problem in line
    assert line.endswith("; train it again")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"width": 321}, "is 321 × 240, rgb, letterbox"),
        ({"height": 244}, "is 320 × 244, rgb, letterbox"),
        ({"colour": "grey"}, "is 320 × 240, grey, letterbox"),
        ({"resize": "stretch"}, "is 320 × 240, rgb, stretch"),
    ],
)
@pytest.mark.parametrize("networks", [[DETECTOR, FACE, SCENE], [JOINT, FACE]], ids=["separate", "joint"])
def test_a_heatmap_takes_a_letterboxed_input_in_colour_with_sides_of_whole_strides(
    folder: Path, networks: list[Table], change: Table, problem: str
) -> None:
    def change_input(table: Table) -> None:
        table["networks"] = copy.deepcopy(networks)
        table["networks"][0]["input"].update(change)

    rewrite_networks(folder, FACE_TABLE, change_input)
    (line,) = list_problems(folder)
    assert "the input of the face detector" in line
    assert f"{problem}, but takes multiples of 8, rgb, letterbox; train it again" in line


# Files


@pytest.mark.parametrize("name", ["scene.tflite", "golden.npz"])
def test_one_flipped_bit_is_refused_with_its_file(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    assert list_problems(folder) == [
        f"{folder / name}: its SHA-256 is not the manifest's; copy the bundle again"
    ]


@pytest.mark.parametrize("name", ["scene.tflite", "golden.npz"])
def test_a_file_that_is_missing_is_refused_by_name(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (line,) = list_problems(folder)
    assert line.startswith(f"{folder / name}: cannot be read (")


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize("kind", ["network", "golden"])
def test_every_file_of_every_network_is_checked_by_its_hash(folder: Path, index: int, kind: str) -> None:
    def name_another_file(table: Table) -> None:
        network = table["networks"][index]
        owner = network["golden"] if kind == "golden" else network
        shutil.copy(folder / owner["file"], folder / "own")
        owner["file"] = "own"

    rewrite(folder, FACE_TABLE, name_another_file)
    assert load_bundle(folder).manifest.detection
    with (folder / "own").open("ab") as file:
        file.write(b"more")
    assert list_problems(folder) == [
        f"{folder / 'own'}: its SHA-256 is not the manifest's; copy the bundle again"
    ]


@pytest.mark.parametrize("text", ["", "{", "[1, 2", "\xff", "[" * 100_000, '{"a": ' + "9" * 5000 + "}"])
def test_a_manifest_that_is_no_json_is_refused_on_one_line(folder: Path, text: str) -> None:
    (folder / MANIFEST_NAME).write_text(text, encoding="latin-1")
    (line,) = list_problems(folder)
    assert "is not JSON" in line


@pytest.mark.parametrize("text", ["null", "[]", "3", '"text"'])
def test_a_manifest_that_is_no_table_is_refused(folder: Path, text: str) -> None:
    (folder / MANIFEST_NAME).write_text(text, encoding="utf-8")
    assert "but takes a table" in list_problems(folder)[0]


def test_a_folder_without_a_manifest_says_what_to_name(tmp_path: Path) -> None:
    assert list_problems(tmp_path) == [
        f"{tmp_path / MANIFEST_NAME}: is not there; name a bundle's folder in model.bundle"
    ]


# What only the network or its outputs show: the hashes are made to hold.


def rehash(folder: Path, change: Change = lambda table: None) -> None:
    def change_with_hashes(table: Table) -> None:
        (network,) = table["networks"]
        for owner in (network, network["golden"]):
            owner["sha256"] = hash_file(folder / owner["file"])
        change(table)

    rewrite_networks(folder, SCENE_TABLE, change_with_hashes)


def test_a_network_that_litert_refuses_is_refused_by_its_file(folder: Path) -> None:
    (folder / "scene.tflite").write_bytes(b"no network")
    rehash(folder)
    with pytest.raises(BundleError, match=r"scene\.tflite: cannot be loaded"):
        Predictor(load_bundle(folder))


def test_a_network_of_another_input_than_the_manifest_says_is_refused(folder: Path) -> None:
    rehash(folder, lambda table: table["networks"][0]["input"].update(width=7))
    with pytest.raises(
        BundleError, match=r"scene\.tflite: takes uint8 .*, the manifest says uint8 \(1, 192, 7, 3\); train"
    ):
        Predictor(load_bundle(folder))


def test_a_network_of_another_output_than_the_manifest_says_is_refused(folder: Path) -> None:
    def add_class(table: Table) -> None:
        table["classes"] = ["angry", "happy", "sad"]
        table["calibration"]["biases"] = [0.0] * 3

    rehash(folder, add_class)
    with pytest.raises(
        BundleError, match=r"scene\.tflite: gives float32 \(1, 2\), the manifest says float32 \(1, 3\); train"
    ):
        Predictor(load_bundle(folder))


def test_outputs_that_are_not_the_golden_ones_are_refused(folder: Path) -> None:
    with np.load(folder / "golden.npz") as arrays:
        inputs, logits = arrays["inputs"], arrays["logits"]
    np.savez(folder / "golden.npz", inputs=inputs, logits=logits + 1)
    rehash(folder)
    with pytest.raises(BundleError, match=r'its output "logits" differs from the golden one by 1 \(allowed'):
        Predictor(load_bundle(folder)).self_test()


def test_golden_outputs_that_are_no_numbers_are_refused(folder: Path) -> None:
    with np.load(folder / "golden.npz") as arrays:
        inputs, logits = arrays["inputs"], arrays["logits"]
    np.savez(folder / "golden.npz", inputs=inputs, logits=logits * np.float32(np.nan))
    rehash(folder)
    with pytest.raises(BundleError, match="differs from the golden one by nan"):
        Predictor(load_bundle(folder)).self_test()


@pytest.mark.parametrize(
    "arrays",
    [
        {"inputs": np.zeros((1, 3, 3, 3), np.uint8), "logits": np.zeros((1, 2), np.float32)},
        {"inputs": np.zeros((0, 192, 192, 3), np.uint8), "logits": np.zeros((0, 2), np.float32)},
        {"inputs": np.zeros((1, 192, 192, 3), np.float32), "logits": np.zeros((1, 2), np.float32)},
        {"inputs": np.zeros((1, 192, 192, 3), np.uint8), "logits": np.zeros((5, 7), np.float32)},
        {"inputs": np.zeros((1, 192, 192, 3), np.uint8)},
        {"other": np.zeros(1)},
    ],
    ids=["another shape", "none", "another type", "too many outputs", "no output", "another name"],
)
def test_golden_inputs_that_cannot_be_run_are_refused_by_their_file(
    folder: Path, arrays: dict[str, Any]
) -> None:
    np.savez(folder / "golden.npz", **arrays)
    rehash(folder)
    with pytest.raises(BundleError, match=r"golden\.npz: "):
        Predictor(load_bundle(folder)).self_test()


# One network with two outputs


@pytest.fixture(scope="module")
def joint_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_joint_bundle(tmp_path_factory.mktemp("joint_bundle"))


waits_for_tensorflow = pytest.mark.timeout(150)


@waits_for_tensorflow
def test_one_network_may_give_both_heatmap_and_logits(joint_bundle: Path, tmp_path: Path) -> None:
    manifest = load_bundle(joint_bundle).manifest
    joint, face = manifest.networks
    assert (joint.file, face.file) == ("scene.tflite", "face.tflite")
    assert (joint.reads, [output.kind for output in joint.outputs]) == ("scene", ["heatmap", "logits"])
    assert joint.title == "face detector and scene classifier"
    Predictor(load_bundle(joint_bundle)).self_test()

    copied = Path(shutil.copytree(joint_bundle, tmp_path / "copied"))
    write_manifest(copied, manifest)
    assert load_bundle(copied).manifest == manifest


@waits_for_tensorflow
def test_a_joint_network_detects_faces_and_classifies_the_scene_in_one_run(joint_bundle: Path) -> None:
    predictor = Predictor(load_bundle(joint_bundle))

    def make_picture(*faces: tuple[int, int, tuple[int, int, int]]) -> Picture:
        image = draw_people(*faces, ground=GREEN)
        return Picture(np.asarray(image), image.width, image.height)

    people = predictor.predict(make_picture((64, 96, SAD), (320, 160, SAD), (320, 32, HAPPY)))
    assert people.label == "sad"
    assert people.faces is not None
    labels = {(face.left, face.top): face.label for face in people.faces}
    assert labels == {(64, 96): "sad", (320, 160): "sad", (320, 32): "happy"}
    assert {(face.width, face.height) for face in people.faces} == {(FACE_SIDE, FACE_SIDE)}

    nobody = predictor.predict(make_picture())
    assert (nobody.label, nobody.faces) == ("happy", ())
    outputs = predictor.run_networks(make_picture())
    logit = 8 * (GREEN[1] / 255 - 0.2)
    assert outputs.scene_logits.tolist() == pytest.approx([logit, -logit], abs=0.01)


@waits_for_tensorflow
def test_a_joint_network_gives_each_output_by_its_kind(joint_bundle: Path) -> None:
    spec = load_bundle(joint_bundle).manifest.networks[0]
    outputs = Network(joint_bundle, spec, classes=2).run(draw_pixels(0, (256, 192)))
    assert {kind: array.shape for kind, array in outputs.items()} == {"heatmap": (24, 32, 4), "logits": (2,)}


@waits_for_tensorflow
def test_a_joint_network_that_gives_less_than_the_manifest_says_is_refused(joint_bundle: Path) -> None:
    spec = load_bundle(joint_bundle).manifest.networks[0]
    with pytest.raises(BundleError, match=r"scene\.tflite: gives float32 .*, the manifest says"):
        Network(joint_bundle, replace(spec, outputs=spec.outputs[:1]), classes=2)


@waits_for_tensorflow
@pytest.mark.parametrize("kind", ["heatmap", "logits"])
def test_each_output_of_a_joint_network_is_held_to_its_own_tolerance(
    joint_bundle: Path, tmp_path: Path, kind: str
) -> None:
    copied = Path(shutil.copytree(joint_bundle, tmp_path / "copied"))
    spec = load_bundle(copied).manifest.networks[0]
    assert all(0.05 <= output.tolerance < 1 for output in spec.outputs)
    with np.load(copied / spec.golden.file) as file:
        arrays = dict(file)
    assert arrays.keys() == {"inputs", "heatmap", "logits"}
    np.savez(copied / spec.golden.file, **arrays | {kind: arrays[kind] + 2})

    def check(**tolerances: float) -> None:
        outputs = tuple(OutputSpec(output.kind, tolerances[output.kind]) for output in spec.outputs)
        Network(copied, replace(spec, outputs=outputs), classes=2).self_test()

    other = "logits" if kind == "heatmap" else "heatmap"
    check(**{kind: 2.1, other: 0.05})
    with pytest.raises(BundleError, match=rf'its output "{kind}" differs from the golden one by 2 '):
        check(**{kind: 1.9, other: 2.1})


def test_every_field_of_the_manifest_is_in_these_tests() -> None:
    assert {field[0] for field in FIELDS} == set(Manifest.__dataclass_fields__)
    for kind in (NetworkSpec, OutputSpec, InputSpec, Golden, DetectionSettings, Fusion, Calibration):
        assert {field[-1] for field in FIELDS} >= set(kind.__dataclass_fields__)


def test_the_version_is_that_of_the_networks_files(folder: Path) -> None:
    manifest = load_bundle(folder).manifest
    assert manifest.version == derive_version(manifest.networks) == make_version(SCENE_TABLE)
