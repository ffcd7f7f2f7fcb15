"""What is stored has the layout that is recorded for its version: a change of it needs a new version, or a record.

``python -m tests.streams.state.test_layout`` records the layout anew.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from detectors.platform.false_discoveries import Discoveries
from detectors.reference.mixes import Mix
from detectors.reference.seasons import Seasons
from detectors.scoring.calibration import Calibrator, Mean, Tail
from detectors.state.watched import STATE_VERSION, Watched
from detectors.windows.clock import SourceTime
from detectors.windows.crowd import COLUMNS, PACKED
from streams.ingest.work import IngestState
from streams.log.frames import FRAME_VERSION, Frame
from streams.state.sealed import Meta
from streams.state.store import Stamp

RECORDED = Path(__file__).with_name("layout.json")
STORED = (Watched, Meta, IngestState, Frame, Stamp, SourceTime, Mix, Seasons, Discoveries, Calibrator, Mean, Tail)
"""The roots; the structs in their fields are found."""


def layout() -> dict[str, Any]:
    """Versions, and of each stored struct how it is encoded and its fields in order."""
    structs: dict[str, Any] = {}
    for root in STORED:
        _note(msgspec.inspect.type_info(root), structs)
    packed = [[name, str(PACKED[name])] for name in ("actor", *COLUMNS)]
    return {"state": STATE_VERSION, "frame": FRAME_VERSION, "row": packed, "structs": dict(sorted(structs.items()))}


def _note(info: Any, structs: dict[str, Any]) -> None:
    if isinstance(info, msgspec.inspect.StructType):
        if info.cls.__name__ in structs:
            return
        structs[info.cls.__name__] = {
            "as": "array" if info.array_like else "map",
            "fields": [f"{each.encode_name}{'' if each.required else '?'}: {_name(each.type)}" for each in info.fields],
        }
    for inner in _inside(info):
        _note(inner, structs)


def _inside(info: Any) -> list[Any]:
    if isinstance(info, msgspec.inspect.StructType):
        return [each.type for each in info.fields]
    found = [getattr(info, name) for name in ("item_type", "key_type", "value_type") if hasattr(info, name)]
    for name in ("types", "item_types"):
        found += getattr(info, name, ())
    return found


def _name(info: Any) -> str:
    if isinstance(info, msgspec.inspect.StructType):
        return info.cls.__name__
    inner = [_name(each) for each in _inside(info)]
    name = type(info).__name__.removesuffix("Type").lower()
    return f"{name}[{', '.join(inner)}]" if inner else name


def test_what_is_stored_has_the_layout_that_is_recorded_for_its_version() -> None:
    recorded = json.loads(RECORDED.read_text())
    assert layout() == recorded, (
        "A stored struct has changed. Raise STATE_VERSION (or FRAME_VERSION) and write the upgrade; or, if all that is"
        " new is a field with a default at the end, which an older worker may pass over, leave the version. Then record"
        " the layout with `python -m tests.streams.state.test_layout`."
    )


def test_every_stored_struct_of_a_target_is_found() -> None:
    found = set(layout()["structs"])
    assert {
        "Watched",
        "Ledger",
        "Level",
        "Crowd",
        "Case",
        "Explained",
        "Evidence",
        "Step",
        "Slow",
        "Day",
        "Point",
    } <= found


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(layout(), indent=1) + "\n")
    sys.exit(0)
