"""Find what in a manifest contradicts itself, though every field alone holds what it takes."""

from collections.abc import Sequence

from worker.inference.manifest import HEATMAP_STRIDE, Manifest, NetworkSpec, derive_version
from worker.paths import NAME_MAX


def find_contradictions(manifest: Manifest) -> list[str]:
    """Return a sentence for each contradiction, naming the field."""
    problems = []
    classes = manifest.classes
    if len(classes) < 2 or len(set(classes)) != len(classes):
        problems.append(f"classes is {list(classes)!r}, but takes two or more different names")
    if not all(map(_is_folder_name, classes)):
        problems.append(f"classes is {list(classes)!r}, but each has to serve as a folder's name")
    problems += _check_networks(manifest)
    if (count := len(manifest.calibration.biases)) != len(classes):
        problems.append(f"calibration.biases has {count}, but takes one for each of {len(classes)} classes")
    if manifest.version != derive_version(manifest.networks):
        problems.append("version is not the hash of the weights")
    return problems


def _check_networks(manifest: Manifest) -> list[str]:
    networks = manifest.networks
    if _belong_together(networks):
        problems = _check_detection(manifest)
    else:
        titles = ", ".join(network.title for network in networks) or "none"
        problems = [
            f"networks has {titles}, but takes scene classifiers alone, or what gives the heatmap, face "
            "classifiers, scene classifiers"
        ]
    return problems + [problem for network in networks for problem in _check_heatmap_input(network)]


def _check_detection(manifest: Manifest) -> list[str]:
    has_detector = any(network.has_output("heatmap") for network in manifest.networks)
    contradiction = (
        "null, but a network detects faces" if has_detector else "given, but no network detects faces"
    )
    settings = {"detection": manifest.detection, "fusion": manifest.fusion}
    return [f"{key} is {contradiction}" for key, value in settings.items() if has_detector is (value is None)]


def _check_heatmap_input(network: NetworkSpec) -> list[str]:
    spec = network.input
    fits = (spec.colour, spec.resize) == ("rgb", "letterbox") and not (
        spec.width % HEATMAP_STRIDE or spec.height % HEATMAP_STRIDE
    )
    if fits or not network.has_output("heatmap"):
        return []
    return [
        f"the input of the {network.title} is {spec.width} × {spec.height}, {spec.colour}, {spec.resize}, "
        f"but takes multiples of {HEATMAP_STRIDE}, rgb, letterbox"
    ]


def _belong_together(networks: Sequence[NetworkSpec]) -> bool:
    if not all(_has_possible_outputs(network) for network in networks):
        return False
    ranks = [_rank(network) for network in networks]
    # There is a heatmap just where there are face classifiers: neither is of use without the other.
    heatmaps, faces = ranks.count(0), ranks.count(1)
    classify_scene = any(network.reads == "scene" and network.has_output("logits") for network in networks)
    return ranks == sorted(ranks) and classify_scene and heatmaps <= 1 and (heatmaps > 0) == (faces > 0)


def _has_possible_outputs(network: NetworkSpec) -> bool:
    kinds = [output.kind for output in network.outputs]
    possible = (["heatmap"], ["logits"], ["heatmap", "logits"]) if network.reads == "scene" else (["logits"],)
    return kinds in possible


def _rank(network: NetworkSpec) -> int:
    """Return the place of a network in the order of a manifest: heatmap, faces, scene."""
    if network.has_output("heatmap"):
        return 0
    return 1 if network.reads == "face" else 2


def _is_folder_name(name: str) -> bool:
    # Half a surrogate pair, which JSON can spell, is not printable, and cannot be encoded.
    is_plain = name.isprintable() and "/" not in name and not name.startswith(".")
    return is_plain and 0 < len(name.encode()) <= NAME_MAX
