"""How a crowd looks as a whole: River's HalfSpaceTrees over all its features.

Half-space trees (Tan, Ting and Liu 2011) cut the space of features at random and count how many of the last 250
windows fell into each part; a window in a part that few visit is odd. Their score is calibrated on unflagged windows.
10 trees of height 6 cost 20 µs a window and 0.25 MB.

An absent feature is no evidence: where a tree asks for one, the fuller way counts, so the score is the least odd that
any value of it could have given. (River itself follows the way that the current, half-filled window took.)

Must spare: whatever is rare and honest, which is why it has no vote (docs/detection.md has what it would add).

>>> from detectors.features import names as f
>>> detector = Outlier()
>>> for i in range(600):
...     detector.learn_one({f.PEOPLE: 50.0, f.FRESH: 0.01 * (i % 9), f.NETWORK: 0.01 * (i % 7)})
>>> odd = {f.PEOPLE: 50.0, f.FRESH: 0.9, f.NETWORK: 0.8}
>>> detector.score_one(odd) > 1, detector.score_one({f.PEOPLE: 50.0, f.FRESH: 0.04}) < 1
(True, True)
"""

from __future__ import annotations

from typing import Any

from detectors.features import names as f
from detectors.scoring.river_models import WINDOWS, ModelDetector

TREES = 10
HEIGHT = 6
SEED = 1

STOP = 0.1
"""Part of the last windows under which a branch is not followed further (Tan et al.)."""


def prepare() -> None:
    """Import River now: the first window that is judged would otherwise hold up all others for a second."""
    DumpableTrees()


class DumpableTrees:
    """HalfSpaceTrees whose masses can be dumped: the cuts are the seed's, so they need not be kept."""

    def __init__(self) -> None:
        from river.anomaly import HalfSpaceTrees  # noqa: PLC0415  # it brings SciPy: a second that no command waits for

        self._trees = HalfSpaceTrees(n_trees=TREES, height=HEIGHT, window_size=WINDOWS, seed=SEED)
        # The first window it learns names the features: an empty crowd that has them all.
        self._learn(dict.fromkeys(f.CROWD_FEATURES, 0.0))
        self._windows = 0
        self._roots: list[Any] = self._trees.trees
        self._nodes: list[Any] = [node for tree in self._roots for node in tree.iter_dfs()]  # type: ignore[no-untyped-call]  # as below

    @property
    def ready(self) -> bool:
        """See Keeping."""
        return self._windows >= WINDOWS

    def score_one(self, x: dict[str, float]) -> float:
        """0 … 1 as River's own, but for absent features."""
        fullest: float = sum(_mass(root, x, HEIGHT) for root in self._roots)
        return 1.0 - fullest / (TREES * WINDOWS * (2.0 ** (HEIGHT + 1) - 1.0))

    def learn_one(self, x: dict[str, float]) -> None:
        """See Keeping."""
        self._windows = min(self._windows + 1, WINDOWS)
        self._learn(x)

    def _learn(self, x: dict[str, float]) -> None:
        self._trees.learn_one(x)  # type: ignore[no-untyped-call]  # River has no types here

    def dump(self) -> Any:
        """See Keeping: progress, and (node, mass, mass of the window before) of the nodes that have any."""
        masses = ((index, node.l_mass, node.r_mass) for index, node in enumerate(self._nodes))
        kept = [number for mass in masses if mass[1] or mass[2] for number in mass]
        return [self._cuts(), self._windows, self._trees.counter, kept]

    def load(self, state: Any) -> None:
        """See Keeping. Masses of other trees (another version of River cuts otherwise) are forgotten."""
        cuts, windows, counter, kept = state
        if cuts != self._cuts():
            return
        for node in self._nodes:
            node.l_mass = node.r_mass = 0
        for place in range(0, len(kept), 3):
            index, now, before = kept[place : place + 3]
            self._nodes[index].l_mass, self._nodes[index].r_mass = now, before
        self._windows, self._trees.counter = windows, counter

    def _cuts(self) -> list[float]:
        """Where the trees cut first: enough to know them by."""
        return [root.threshold for root in self._roots]


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
    """See the module."""

    name = "outlier"

    def __init__(self) -> None:
        super().__init__(self.name, DumpableTrees, of=f.CROWD_FEATURES)
