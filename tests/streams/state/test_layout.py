"""What is stored has the layout that is recorded for its version.

``python -m tests.streams.state.test_layout`` records the layout anew. It refuses a change that stored state cannot
survive while the version is the same.
"""

from __future__ import annotations

import json
import sys
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from detectors.audit import Audit, AuditSettings
from detectors.controls import AUTOMATED, SELLER, Replayed, Ruled
from detectors.events.event import METRICS
from detectors.events.key import VIEW, key_of
from detectors.features import names as f
from detectors.intake.rules.reasons import TAGS
from detectors.platform.false_discoveries import Discoveries
from detectors.reference.mixes import Mix
from detectors.reference.seasons import Seasons
from detectors.scoring.calibration import Calibrator, Mean, Tail
from detectors.state.parts import AUDIT_KINDS
from detectors.state.relation_pages import encode, name_of
from detectors.state.target_state import STATE_VERSION, TargetState
from detectors.windows.clock import SourceTime
from detectors.windows.crowd import PACKED
from detectors.windows.sample import PERSON
from detectors.windows.scales import ladder
from streams.ingest.work import IngestState
from streams.log.frames import FRAME_VERSION, Frame
from streams.state.sealed import Meta
from streams.state.store import Stamp
from streams.targets.step import PartitionAudit
from tests.mixes import learn

RECORDED = Path(__file__).with_name("layout.json")
STORED = {
    "watched": TargetState,
    "meta": Meta,
    "ingest": IngestState,
    "frame": Frame,
    "stamp": Stamp,
    "source time": SourceTime,
    "mix": Mix,
    "seasons": Seasons,
    "discoveries": Discoveries,
    "calibrator": Calibrator,
    "mean": Mean,
    "tail": Tail,
}
"""The roots; the structs in their fields are found. Names of classes are not stored, and not recorded."""

SCALES = ladder(10)

FRAMES = ("frame",)
"""Those whose version is FRAME_VERSION."""


def layout() -> dict[str, Any]:
    """Versions, and how each stored struct and each part is encoded."""
    return {
        "state": STATE_VERSION,
        "frame": FRAME_VERSION,
        "names": {
            "metrics": list(METRICS),
            "scales": [scale.name for scale in SCALES],
            "tags": {str(number): tag for number, tag in enumerate(TAGS)},
        },
        "row": [[name, str(PACKED[name])] for name in PACKED.names or ()],
        "person": [[name, str(PERSON[name])] for name in PERSON.names or ()],
        "structs": {name: _described(msgspec.inspect.type_info(struct)) for name, struct in STORED.items()},
        "parts": parts_written(),
        "audit": _shape(PartitionAudit(AuditSettings()).dump(0)),
    }


def _described(info: Any) -> Any:
    """A type as JSON: structs with their fields in order, others by name."""
    if isinstance(info, msgspec.inspect.StructType):
        return {
            "as": "array" if info.array_like else "map",
            "fields": [[_field(each), _described(each.type)] for each in info.fields],
        }
    inner = [_described(each) for each in _inside(info)]
    name = type(info).__name__.removesuffix("Type").lower()
    return [name, *inner] if inner else name


def _field(field: Any) -> str:
    """Name and default: a record leaves out what is the default, so another default gives it another meaning."""
    if field.required:
        return str(field.encode_name)
    default = field.default if field.default_factory is msgspec.NODEFAULT else _shown(field.default_factory())
    return f"{field.encode_name} = {default!r}"


def _shown(made: Any) -> Any:
    return "made" if isinstance(made, msgspec.Struct) else made


def _inside(info: Any) -> list[Any]:
    found = [getattr(info, name) for name in ("item_type", "key_type", "value_type") if hasattr(info, name)]
    for name in ("types", "item_types"):
        found += getattr(info, name, ())
    return found


# ---------------------------------------------------------------- parts


def parts_written() -> dict[str, dict[str, Any]]:
    """Of each kind the records of an audit that has learned a little, by suffix: their keys, types and columns."""
    audit = Audit(AuditSettings())
    _teach(audit)
    found: dict[str, dict[str, Any]] = {}
    for part in audit.parts:
        records = found.setdefault(part.kind.prefix.decode(), {})
        shapes: dict[str, str] = {}
        for suffix, state in part.take_changed():
            shape = "watched" if isinstance(state, TargetState) else _shape(state)
            first = shapes.setdefault(json.dumps(shape), suffix)
            records[suffix] = shape if first == suffix else f"as {first}"
    return found


def _teach(audit: Audit) -> None:
    audit.target_states.change(key_of(VIEW, "v"))
    audit.target_states.pages.put(name_of(key_of(1, "v"), 0), encode({2: 5, 1 << 40: 7}))
    for platform in audit.platforms:
        platform.learn_actors([1 << 40 | 7, 9])
        platform.learn_hour(0, 3.0)
        platform.learn_typical(SCALES[0], [3])
        platform.closed(SCALES[0], 2, 1)
        platform.rates.learn_viewers("hour", 1, 400.0, 320.0)
        for mix in platform.mixes.values():
            learn(mix, {1: 2})
        for detectors in platform.detectors.values():
            for detector in detectors.values():
                detector.learn_one({f.COUNT: 9.0, f.EXPECTED: 8.0, f.DISPERSION: 5.0, f.NETWORK: 0.2, f.REPEATS: 0.1})
    audit.rulings.note([2, 1 << 40], key_of(VIEW, "v"))
    audit.rulings.conduct.note(Ruled(600_000, [2, 1 << 40], [AUTOMATED, SELLER], [90, 50], [900_000, 900_000]))
    audit.rulings.replays.note(Replayed(600_000, "v", 900_000, [2, 1 << 40]))
    audit.bands.lockstep.note(600_000, 3, 1.0, [5, 7])
    audit.bands.lockstep.learn()
    audit.bands.lockstep.note(900_000, 4, 1.0, [5, 7])
    for _, days in audit.intake.days():
        days.turn(1)
        days.follow([3, 1 << 63])
        days.count([3], [2])


def _shape(value: Any) -> Any:
    """Keys, order and types of builtins. Bytes by length and checksum: they are columns of fixed widths."""
    match value:
        case bytes() | bytearray():
            data = _unpacked(bytes(value))
            return f"bytes {len(data)} {zlib.crc32(data):08x}"
        case dict():
            return {"map": [[_key(key), _shape(inner)] for key, inner in value.items()]}
        case list() | tuple():
            shapes = [_shape(inner) for inner in value]
            alike = len(shapes) > 1 and all(shape == shapes[0] for shape in shapes)
            return {"all": shapes[0], "length": len(shapes)} if alike else shapes
        case msgspec.Struct():
            return _shape(msgspec.to_builtins(value))
        case _:
            return type(value).__name__


def _key(key: Any) -> str:
    return key if isinstance(key, str) else f"{type(key).__name__} {key}"


def _unpacked(data: bytes) -> bytes:
    try:
        return zlib.decompress(data)
    except zlib.error:
        return data


# ---------------------------------------------------------------- what may change


def lost_by(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What of a recorded layout a new one has changed although the version is the same. Additions at the end are none.

    A field at the end that has a default is one: older state is read as before, and an older worker passes over it.
    """
    found = []
    for name, struct in old["structs"].items():
        version = "frame" if name in FRAMES else "state"
        if old[version] == new[version]:
            found += _lost(name, struct, new["structs"].get(name))
    if old["state"] == new["state"]:
        found += [name for name in ("names", "row", "person", "parts", "audit") if not _extends(old[name], new[name])]
    return found


def _lost(where: str, old: Any, new: Any) -> list[str]:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return _lost_inside(where, old, new)
    before, after = old["fields"], new["fields"]
    added = after[len(before) :]
    if old["as"] != new["as"] or len(after) < len(before) or not all(" = " in name for name, _ in added):
        return [where]
    found = []
    for (name, type_), (other, other_type) in zip(before, after, strict=False):
        found += _lost(f"{where}.{name}", type_, other_type) if name == other else [f"{where}.{name}"]
    return found


def _lost_inside(where: str, old: Any, new: Any) -> list[str]:
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [lost for one, other in zip(old, new, strict=True) for lost in _lost(where, one, other)]
    return [] if old == new else [where]


def _extends(old: Any, new: Any) -> bool:
    """Whether all of an old shape is in a new one, maps having more keys at most."""
    if isinstance(old, dict) and isinstance(new, dict):
        if "map" in old and "map" in new:
            old, new = dict(old["map"]), dict(new["map"])
        return all(key in new and _extends(inner, new[key]) for key, inner in old.items())
    return bool(old == new)


# ---------------------------------------------------------------- tests


def recorded() -> dict[str, Any]:
    layout_: dict[str, Any] = json.loads(RECORDED.read_text())
    return layout_


def test_what_is_stored_has_the_layout_that_is_recorded_for_its_version() -> None:
    assert layout() == recorded(), (
        "What is stored has changed. Raise STATE_VERSION (or FRAME_VERSION) and write the upgrade; or, if all that is"
        " new is a field with a default at the end, which an older worker may pass over, leave the version. Then record"
        " the layout with `python -m tests.streams.state.test_layout`."
    )


def test_every_part_of_an_audit_is_recorded_with_all_its_records() -> None:
    assert {prefix: list(records) for prefix, records in recorded()["parts"].items()} == {
        "w/": ["0v"],
        "r/": ["0/1v"],
        "platform/": ["0", "1", "2"],
        "platform/lockstep/": ["head", *recorded_pages()],
        "platform/rulings": [""],
        "platform/conduct": [""],
        "platform/replays": [""],
        "platform/days/": ["0", "1", "2"],
    }
    assert [kind.prefix.decode() for kind in AUDIT_KINDS] == list(recorded()["parts"])


def recorded_pages() -> list[str]:
    return [name for name in recorded()["parts"]["platform/lockstep/"] if name.isdecimal()]


def _struct(*fields: list[Any]) -> dict[str, Any]:
    return {"as": "map", "fields": list(fields)}


WATCHED_BEFORE = _struct(["a", "int"], ["b = 0", ["dict", "str", _struct(["c", "int"])]])
BEFORE: dict[str, Any] = {
    "state": 8,
    "frame": 3,
    "names": {},
    "row": [],
    "person": [],
    "structs": {"watched": WATCHED_BEFORE},
    "parts": {"platform/": {"0": {"map": [["now", "int"]]}}},
    "audit": {},
}


def _with(*fields: list[Any]) -> dict[str, Any]:
    return {**BEFORE, "structs": {"watched": _struct(*fields)}}


INNER = ["dict", "str", _struct(["c", "int"])]


@pytest.mark.parametrize(
    "after",
    [
        _with(["b = 0", INNER], ["a", "int"]),
        _with(["a", "int"]),
        _with(["a", "float"], ["b = 0", INNER]),
        _with(["a", "int"], ["b = 1", INNER]),
        _with(["a", "int"], ["b = 0", INNER], ["d", "int"]),
        _with(["a", "int"], ["b = 0", ["dict", "str", _struct(["c", "str"])]]),
        {**BEFORE, "structs": {"watched": {**WATCHED_BEFORE, "as": "array"}}},
        {**BEFORE, "parts": {"platform/": {"0": {"map": [["then", "int"]]}}}},
    ],
    ids=["order", "removed", "type", "default", "required", "inside", "array", "part"],
)
def test_a_change_that_older_state_cannot_survive_needs_a_new_version(after: dict[str, Any]) -> None:
    assert lost_by(BEFORE, after)
    assert not lost_by(BEFORE, {**after, "state": 9})


@pytest.mark.parametrize(
    "after",
    [
        _with(["a", "int"], ["b = 0", INNER], ["d = 0", "int"]),
        {**BEFORE, "parts": {"platform/": {"0": {"map": [["now", "int"], ["then", "int"]]}}}},
    ],
    ids=["field", "key of a map"],
)
def test_a_field_with_a_default_at_the_end_needs_none(after: dict[str, Any]) -> None:
    assert not lost_by(BEFORE, after)


if __name__ == "__main__":
    lost = lost_by(recorded(), layout())
    if lost:
        sys.exit(f"stored state cannot be read any more, and the version is the same: {', '.join(lost)}")
    RECORDED.write_text(json.dumps(layout(), indent=1) + "\n")
