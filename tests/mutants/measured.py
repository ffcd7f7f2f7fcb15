"""Which tests are worth running for a change: those that run its line, the likeliest and quickest first."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from tests.mutants.sites import Site

SHARED = ("@cache", 'scope="module"', 'scope="session"')
"""By what a test uses what another test of its file has computed: then each runs what any of them runs."""

LINES_BACK = 12
"""So far above a line may stand the first of its statement, for which alone coverage may have an entry."""


@dataclass(slots=True)
class Chosen:
    """Tests of one file that run a line, and about how long of the processor they take together."""

    path: str
    tests: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Measured:
    """What the suite was seen to run."""

    def __init__(self, root: Path, parts: list[Path]) -> None:
        self._root = root
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()
        self._tests: list[str] = []
        self._lines: dict[str, dict[int, set[int]]] = {}
        self._text: dict[str, list[str]] = {}
        for part in parts:
            self._read(json.loads(part.read_text()))
        self._file_of = [test.split("::")[0] for test in self._tests]
        self._in_file: dict[str, set[int]] = {}
        for place, path in enumerate(self._file_of):
            self._in_file.setdefault(path, set()).add(place)
        self._whole = {path for path in self._in_file if self._shares(path)}

    def choose(self, site: Site) -> list[Chosen]:
        """The tests for a change, by file: first the file that mirrors the changed one, then the quickest."""
        if site.body:
            places = self._at(site.path, site.line)
        else:
            places = self._of_module(site.path)
            if site.name is not None:
                places = places | self._of_name(site.name)
        for path in {self._file_of[place] for place in places} & self._whole:
            places = places | self._in_file[path]
        by_file: dict[str, Chosen] = {}
        for place in sorted(places):
            test = self._tests[place]
            if test not in self.failed:
                chosen = by_file.setdefault(self._file_of[place], Chosen(self._file_of[place]))
                chosen.tests.append(test)
                chosen.seconds += self.seconds[test]
        folder, _, name = site.path.rpartition("/")
        near = (f"tests/{folder}/test_{name}", site.path)
        return sorted(by_file.values(), key=lambda chosen: (chosen.path not in near, chosen.seconds))

    def sample(self) -> tuple[str, list[str]]:
        """A file of code and the tests of several files, quick ones, that run it."""
        path = max(self._lines, key=lambda code: len(self._of_module(code)))
        quick = sorted(self._of_module(path), key=lambda place: self.seconds[self._tests[place]])
        return path, [self._tests[place] for place in quick if self._tests[place] not in self.failed][:200]

    def _read(self, part: dict[str, dict[str, dict[str, list[int]]]]) -> None:
        first = len(self._tests)
        self._tests.extend(part["seconds"])
        self.seconds.update(part["seconds"])  # type: ignore[arg-type]  # a number each
        self.failed.update(part["failed"])
        for path, by_line in part["lines"].items():
            lines = self._lines.setdefault(path, {})
            for line, places in by_line.items():
                lines.setdefault(int(line), set()).update(place + first for place in places)

    def _at(self, path: str, line: int) -> set[int]:
        lines = self._lines.get(path, {})
        return next((lines[at] for at in range(line, line - LINES_BACK, -1) if at in lines), set())

    def _of_module(self, path: str) -> set[int]:
        return set[int]().union(*self._lines.get(path, {}).values())

    def _of_name(self, name: str) -> set[int]:
        word = re.compile(rf"\b{name}\b")
        places: set[int] = set()
        for path, lines in self._lines.items():
            if path not in self._text:
                self._text[path] = (self._root / path).read_text().splitlines()
            for number, text in enumerate(self._text[path], start=1):
                if word.search(text):
                    places |= lines.get(number, set())
        return places

    def _shares(self, path: str) -> bool:
        """Whether tests of a file share results: by its own text, or by that of a module of tests that it imports."""
        text = (self._root / path).read_text()
        for name in re.findall(r"^from (tests\.[\w.]+) import", text, re.MULTILINE):
            module = self._root / (name.replace(".", "/") + ".py")
            text += module.read_text() if module.exists() else ""
        return path.startswith("tests/") and any(mark in text for mark in SHARED)
