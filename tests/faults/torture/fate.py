"""When a worker is killed, and which of its processes."""

import random
from dataclasses import dataclass
from enum import Enum

_COMMITS = ("take-on commit", "decide commit", "record commit")
_RARE_COMMITS = ("retry commit", "readdress commit")
_MOVES = ("make folder", "sync root", "link", "sync destination", "hide", "unlink", "sync source")
_RENAMES = ("hide", "reveal", "sync source", "sync destination")

STEPS: dict[str, list[str]] = {
    file_system: [
        "after collect",
        *(f"{when} {step}" for step in ("submit", *_COMMITS, *moves) for when in ("before", "after")),
    ]
    for file_system, moves in (("one", _MOVES), ("without links", _RENAMES))
}
"""The steps at which a worker can be killed, by the file system (`tests.file_moves`) that it files on."""

_LONGEST_LIFE_SECONDS = 1.0


class Target(Enum):
    """Which processes die: the worker, those that decode for it, or both."""

    PARENT = "parent"
    CHILDREN = "children"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Fate:
    """A kill at the n-th passing of a step, "any" for each of them, and after `seconds` in any case."""

    target: Target
    seconds: float
    step: str = ""
    passings: int = 0


def draw_fate(random_: random.Random, file_system: str) -> Fate:
    """Draw a kill: half of them at a named step, the others after some steps, or after some time."""
    target = random_.choices(list(Target), [6, 2, 2])[0]
    kind = random_.random()
    if kind < 0.02:
        step = f"{random_.choice(('before', 'after'))} {random_.choice(_RARE_COMMITS)}"
        return Fate(target, 3 * _LONGEST_LIFE_SECONDS, step, 1)
    if kind < 0.5:
        step = random_.choice(STEPS[file_system])
        return Fate(target, _LONGEST_LIFE_SECONDS, step, random_.choice((1, 1, 1, 2, 3, 5, 8)))
    if kind < 0.75:
        return Fate(target, _LONGEST_LIFE_SECONDS, "any", random_.randint(1, 120))
    return draw_moment(random_)


def draw_moment(random_: random.Random) -> Fate:
    """Draw a kill at a random time."""
    return Fate(random_.choice((Target.PARENT, Target.ALL)), random_.uniform(0, 0.6))
