"""Files for tests of recorded files, and the command that reads them, run in this process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.command import truecount

MAP = """
[map]
metric = {{value = "view"}}
ts = {{path = "{ts}", time = "{time}"}}
actor = "{actor}"
target = "{target}"
"""


def map_of(ts: str, actor: str, target: str, time: str = "s", more: str = "") -> str:
    """A map that makes views."""
    return MAP.format(ts=ts, actor=actor, target=target, time=time) + more


@dataclass(slots=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str

    def summary(self) -> dict[str, Any]:
        """What it printed as JSON."""
        found: dict[str, Any] = json.loads(self.out)
        return found


class Command:
    """``truecount replay FILE --offline``, with what it wrote."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.out = directory / "out"

    def run(self, *arguments: str) -> Answer:
        """Any command."""
        done = truecount(*arguments)
        return Answer(done.returncode, done.stdout, done.stderr)

    def replay(self, content: bytes | str, name: str, layout: str | None = None, *options: str) -> Answer:
        """An offline replay of a file with this content, as JSON."""
        path = self.directory / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        more = list(options)
        if layout is not None:
            (self.directory / "map.toml").write_text(layout)
            more += ["--map", str(self.directory / "map.toml")]
        return self.run("replay", str(path), *more, "--offline", "--out", str(self.out), "--json")

    def lines(self, name: str) -> list[dict[str, Any]]:
        """A file that it wrote."""
        return [json.loads(line) for line in (self.out / f"{name}.ndjson").read_text().splitlines()]

    def counts(self) -> dict[str, tuple[int, int]]:
        """(raw, valid) of each target, as they were counted last."""
        return {row["target"]: (row["raw"], row["valid"]) for row in self.lines("audited-counts")}
