"""Unusual combinations of all features: River's HalfSpaceTrees.

Half-space trees (Tan, Ting and Liu 2011) divide the space of features at random and count how many of the last 250
windows were in each part. A window in a part with few windows is anomalous. The score is calibrated on unflagged
windows. 10 trees of height 6 cost 20 µs a window and 0.25 MB.

An absent feature is no evidence: if a tree splits on it, the branch with more windows counts. So the score is the
lowest that any value of the feature could give. (River follows the branch of the current, half-filled window.)

Must not flag: rare honest crowds. It cannot tell them apart, so it has no vote (docs/detection.md shows what it would
add).

>>> from detectors.features import names as f
>>> detector = Outlier()
>>> for i in range(600):
...     detector.learn_one({f.PEOPLE: 50.0, f.FRESH: 0.01 * (i % 9), f.NETWORK: 0.01 * (i % 7)})
>>> odd = {f.PEOPLE: 50.0, f.FRESH: 0.9, f.NETWORK: 0.8}
>>> detector.score_one(odd) > 1, detector.score_one({f.PEOPLE: 50.0, f.FRESH: 0.04}) < 1
(True, True)
"""

from __future__ import annotations

from copy import copy
from functools import cache
from typing import Any

from detectors.features import names as f
from detectors.scoring.river_models import WINDOWS, ModelDetector

TREES = 10
HEIGHT = 6
SEED = 1

STOP = 0.1
"""Least share of the last windows in a branch for it to be followed further (Tan et al.)."""


def prepare() -> None:
    """Import River now. Otherwise judging the first window would delay all others by a second."""
    DumpableTrees()


class DumpableTrees:
    """HalfSpaceTrees with a state that can be dumped. The splits follow from the seed and are not stored."""

    def __init__(self) -> None:
        trees = _new_trees()
        self._roots: list[Any] = [_copied(root) for root in trees.trees]
        self._trees = copy(trees)
        self._trees.trees = self._roots
        self._trees._tree_nodes = [list(root.iter_dfs()) for root in self._roots]  # noqa: SLF001  # a copy of all of it
        self._windows = 0
        self._nodes: list[Any] = [node for tree in self._trees._tree_nodes for node in tree]  # noqa: SLF001  # as above

    @property
    def ready(self) -> bool:
        """See StatefulModel."""
        return self._windows >= WINDOWS

    def score_one(self, x: dict[str, float]) -> float:
        """Anomaly score in 0 … 1; equal to River's if no feature is absent."""
        fullest: float = sum(_mass(root, x, HEIGHT) for root in self._roots)
        return 1.0 - fullest / (TREES * WINDOWS * (2.0 ** (HEIGHT + 1) - 1.0))

    def learn_one(self, x: dict[str, float]) -> None:
        """See StatefulModel."""
        self._windows = min(self._windows + 1, WINDOWS)
        self._learn(x)

    def _learn(self, x: dict[str, float]) -> None:
        self._trees.learn_one(x)

    def dump(self) -> Any:
        """See StatefulModel: progress, and (node, mass, mass of the window before) of the nodes with a mass."""
        masses = ((index, node.l_mass, node.r_mass) for index, node in enumerate(self._nodes))
        stored = [number for mass in masses if mass[1] or mass[2] for number in mass]
        return [self._cuts(), self._windows, self._trees.counter, stored]

    def load(self, state: Any) -> None:
        """See StatefulModel. Masses of trees with other splits (another version of River) are dropped."""
        cuts, windows, counter, stored = state
        if cuts != self._cuts():
            return
        for node in self._nodes:
            node.l_mass = node.r_mass = 0
        for place in range(0, len(stored), 3):
            index, now, before = stored[place : place + 3]
            self._nodes[index].l_mass, self._nodes[index].r_mass = now, before
        self._windows, self._trees.counter = windows, counter

    def _cuts(self) -> list[float]:
        """The first split of each tree: enough to identify the trees."""
        return [root.threshold for root in self._roots]


@cache
def _new_trees() -> Any:
    """River's trees, to be copied: making them takes four times as long (measured)."""
    from river.anomaly import HalfSpaceTrees  # noqa: PLC0415  # imports SciPy, which takes a second

    trees = HalfSpaceTrees(n_trees=TREES, height=HEIGHT, window_size=WINDOWS, seed=SEED)
    # The trees take their features from the first window they learn: an empty crowd with all of them.
    trees.learn_one(dict.fromkeys(f.CROWD_FEATURES, 0.0))  # type: ignore[no-untyped-call]  # River has no types here
    return trees


def _copied(node: Any) -> Any:
    """A copy of a node and all below it."""
    other = object.__new__(type(node))
    other.__dict__.update(node.__dict__)
    if "children" in other.__dict__:  # a leaf has none
        other.children = tuple(_copied(child) for child in node.children)
    return other


def _mass(node: Any, x: dict[str, float], left: int, weight: int = 1) -> float:
    mass: float = node.r_mass * weight
    if left == 0 or node.r_mass < STOP * WINDOWS:
        return mass
    value = x.get(node.feature)
    low, high = node.children
    if value is None:
        return mass + max(_mass(low, x, left - 1, 2 * weight), _mass(high, x, left - 1, 2 * weight))
    return mass + _mass(low if value < node.threshold else high, x, left - 1, 2 * weight)


class Outlier(ModelDetector):
    """Detector of unusual combinations; see the module."""

    name = "outlier"

    def __init__(self) -> None:
        super().__init__(self.name, DumpableTrees, features=f.CROWD_FEATURES)
