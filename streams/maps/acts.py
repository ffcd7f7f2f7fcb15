"""Finds the acts of sample records: metric, undo, which records are events, and watch time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from streams.maps import vocabulary as words
from streams.maps.choice import Choice, Chooser
from streams.maps.fields import Field, words_of
from streams.maps.likeness import YES_NO, is_few, is_yes_no
from streams.maps.vocabulary import NAMED, hint

OPERATIONS = {
    **dict.fromkeys(("c", "r", "i", "+i", "insert", "create", "read", "load", "bootstrap-insert"), False),
    **dict.fromkeys(("d", "-d", "delete", "remove"), True),
}
"""Operations of change data capture that are acts → whether they undo one. An update (u) is neither."""
SNAPSHOT = ("r", "read", "load", "bootstrap-insert")
OTHER_OPERATIONS = frozenset(("u", "t", "m", "+u", "-u", "update", "update_preimage", "update_postimage", "modify"))
OTHER_OPERATIONS |= {"replace", "truncate", "message"}
CERTAIN = frozenset(("insert", "bootstrap-insert"))
"""Operations that are found in change data capture only, whatever their field is called."""
COUNTERPARTS = {"i": ("d",), "+i": ("-d",), "insert": ("delete", "remove"), "create": ("delete",)}
"""Operation → those that may undo it, if the sample has none."""

NOTHING = frozenset(("\\N", "NULL", "null", "None", "NaN", "nan", "-", "0000-00-00", "0000-00-00 00:00:00"))
"""Texts of a time that is not given."""
STATUS_OK = ("200", "206")
"""HTTP status codes of an answer with the whole file or a part of it."""
SURE_MS = 30_000
"""A median of at least this is in milliseconds: in seconds it would be over eight hours."""
LONGEST_MS = 86_400_000
"""A median of more than a day is in neither: .NET counts time in ticks of 100 ns."""
_OTHER_UNITS = frozenset(("hour", "hours", "hrs", "minute", "minutes", "mins", "min", "ticks", "percent", "pct"))
"""Words of fields in units that a map does not have."""
SURE_SECONDS = 1_000
"""A maximum of at most this is in seconds: in milliseconds it would be at most one second."""


@dataclass
class Acts:
    """What was found about the acts."""

    metric: str | None = None
    """metric of all records, if it is the same"""
    fields: dict[str, Choice] = field(default_factory=dict)
    """sources of metric, undo and history"""
    keep: list[dict[str, Any]] = field(default_factory=list)
    skip: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    removed: dict[str, Any] | None = None
    """source of the time at which an act was taken back"""
    skipped: Counter[str] = field(default_factory=Counter)
    """words whose records are skipped → number of records"""


def acts_of(chooser: Chooser, *names: str) -> Acts:
    """Find the acts of records; ``names`` are names of their file or topic."""
    found = _operations(chooser)
    if found is not None:
        _of_tables(found, _kinds(chooser))
    else:
        found = _kinds(chooser) or Acts(notes=_unknown_kinds(chooser))
    if "undo" not in found.fields:
        undo = _undo(chooser)
        if undo is None:
            undo, found.removed = _removed(chooser)
        if undo is not None:
            found.fields["undo"] = undo
    status = _status(chooser)
    if status is not None:
        found.keep.append(status)
    if found.metric is None and "metric" not in found.fields:
        found.metric = words.metric_named(*names)
    return found


def _kinds(chooser: Chooser) -> Acts | None:
    """Acts by a field whose words are acts, such as LIKE, UNFOLLOW or play."""
    best: tuple[float, Field] | None = None
    for each in chooser.fields:
        if not is_few(each) or each.numbers or is_yes_no(each):
            continue
        named = hint(each, words.KIND) >= NAMED
        plain = all(len(words_of(text)) == 1 for text in each.texts)
        meanings = [words.meaning(text) for text in each.texts]
        known = sum(meaning is not None for meaning in meanings) / len(meanings)
        undone = any(meaning is not None and meaning[1] for meaning in meanings)
        score = known + hint(each, words.KIND) + each.share + undone
        if known > 0 and (named or (plain and known >= 0.8)) and (best is None or score > best[0]):
            best = score, each
    if best is None:
        return None
    each = best[1]
    chooser.take(each)
    return _acts_by_words(chooser, each)


def _unknown_kinds(chooser: Chooser) -> list[str]:
    """A note on a field with kinds of records of which none is known as an act."""
    for each in chooser.fields:
        named = hint(each, words.KIND) > NAMED or each.words[-1:] in (("type",), ("kind",), ("event",), ("action",))
        if named and is_few(each) and each.distinct > 1 and not each.numbers and not is_yes_no(each):
            shown = ", ".join(list(dict.fromkeys(each.texts))[:10])
            return [f"{each.name} has the words {shown}. If only some of them are acts, list those in keep"]
    return []


def _acts_by_words(chooser: Chooser, each: Field) -> Acts:
    meanings = {text: meaning for text in dict.fromkeys(each.texts) if (meaning := words.meaning(text)) is not None}
    metrics = list(dict.fromkeys(metric for metric, _ in meanings.values()))
    inner = _undone(chooser, each)
    undo_words = [text for text in dict.fromkeys(each.texts) if words.is_bare_undo(text)]
    found = Acts()
    if undo_words and (len(metrics) == 1 or inner is not None):
        meanings |= dict.fromkeys(undo_words, (metrics[0], True))
    found.skipped = Counter(text for text in each.texts if text not in meanings)
    table = {text: metric for text, (metric, _) in meanings.items()}
    if len(metrics) == 1:
        found.metric = metrics[0]
    elif undo_words and inner is not None:
        acts = {text: metric for text, metric in table.items() if text not in undo_words}
        found.fields["metric"] = Choice(
            {"first": [inner.source(words=acts), each.source(words=acts)]}, "by the words of this field"
        )
    elif all(text == metric for text, metric in table.items()):
        found.fields["metric"] = Choice(each.source(), "its words are metric names")
    else:
        found.fields["metric"] = Choice(each.source(words=table), "by the words of this field")
    if any(undone for _, undone in meanings.values()):
        undo = {text: undone for text, (_, undone) in meanings.items()}
        found.fields["undo"] = Choice(each.source(words=undo), "by the words of this field")
    if each.share < 1 or found.skipped or [*meanings] != [found.metric]:
        found.keep.append(each.source(**{"is": list(meanings)}))
    if undo_words and inner is not None:
        others = [text for text in dict.fromkeys(inner.texts) if text not in meanings]
        if others:
            found.skip.append(inner.source(**{"is": others}))
    return found


def _undone(chooser: Chooser, kind: Field) -> Field | None:
    """The field with the act that a bare undo takes back: it has the same name, and is inside an object."""
    for each in chooser.fields:
        if each.path[-1] == kind.path[-1] and len(each.path) > len(kind.path) and each.place == kind.place:
            pairs = zip(kind.values, each.values, strict=True)
            if any(value is not None and own is not None and words.is_bare_undo(str(own)) for own, value in pairs):
                return each
    return None


def _operations(chooser: Chooser) -> Acts | None:
    """Acts by the operation of change data capture: rows that were created, updated or deleted."""
    for each in chooser.fields:
        seen = {text.lower() for text in each.texts}
        named = ("op" in each.words or "operation" in each.words) or bool(seen & CERTAIN)
        if not named or each.share <= 0.5 or not seen & set(OPERATIONS):  # half of the records
            continue
        if not seen <= {*OPERATIONS, *OTHER_OPERATIONS}:
            continue
        chooser.take(each)
        chooser.rows = True
        undo = {text: OPERATIONS[text.lower()] for text in _spelled(each, seen)}
        found = Acts(keep=[each.source(**{"is": list(undo)})])
        found.fields["undo"] = Choice(each.source(words=undo), "deleting a row undoes its act")
        if any(text.lower() in SNAPSHOT for text in undo):
            history = {text: text.lower() in SNAPSHOT for text in undo}
            found.fields["history"] = Choice(
                each.source(words=history), "rows of the snapshot are counted, but never judged as a burst"
            )
        found.skipped = Counter(text for text in each.texts if text not in undo)
        return found
    return None


def _spelled(each: Field, seen: set[str]) -> list[str]:
    """The operations that are acts, as the records spell them, and those that may undo them."""
    if seen <= {"r", "c", "u", "d", "t", "m"}:
        return ["c", "r", "d"]
    spelled = [text for text in dict.fromkeys(each.texts) if text.lower() in OPERATIONS]
    if not any(OPERATIONS[text.lower()] for text in spelled):
        for text in tuple(spelled):
            others = COUNTERPARTS.get(text.lower(), ())
            spelled += [other.upper() if text.isupper() else other for other in others]
    return spelled


def _of_tables(found: Acts, tables: Acts | None) -> None:
    """Add the metric of the rows' tables to the acts of rows: other tables are skipped."""
    if tables is None or "undo" in tables.fields:
        return
    found.metric = tables.metric
    found.fields.update(tables.fields)
    found.keep += tables.keep
    found.skipped += tables.skipped


def _undo(chooser: Chooser) -> Choice | None:
    for _, each in chooser.ranked(lambda each: hint(each, words.UNDO) if is_yes_no(each) else 0):
        if hint(each, words.UNDO) >= NAMED:
            chooser.take(each)
            return Choice(each.source(), "yes undoes the act")
    for _, each in chooser.ranked(lambda each: hint(each, words.ACTIVE) if is_yes_no(each) else 0):
        if hint(each, words.ACTIVE) >= NAMED and each.distinct == 2:  # both yes and no
            chooser.take(each)
            no = {text: text.lower() in _NO for text in dict.fromkeys(each.texts)}
            return Choice(each.source(words=no), "no undoes the act", sure=False)
    for each in chooser.fields:
        if set(each.texts) == {"1", "-1"} and is_few(each):
            chooser.take(each)
            return Choice(each.source(words={"1": False, "-1": True}), "-1 undoes the act", sure=False)
    return None


def _removed(chooser: Chooser) -> tuple[Choice | None, dict[str, Any] | None]:
    """An undo by the time of a removal, such as ``deleted_at``, which acts that remain do not have; and that time."""
    for each in chooser.fields:
        if words.UNDO.isdisjoint(each.words) or not (words.TARGET | words.ACTOR).isdisjoint(each.around):
            continue
        nothing = [text for text in dict.fromkeys(each.texts) if text in NOTHING]
        given = Field(each.path, [None if value in nothing else value for value in each.values])
        layouts = chooser.layouts_of(given) if given.given and given.share < 1 else []
        if layouts:
            chooser.take(each)
            none = {"none": nothing} if nothing else {}
            how = none if layouts[0] == "ms" else {"time": layouts[0], **none}
            undo = Choice(each.source(exists=True, **none), "an act with this time is taken back")
            return undo, each.source(**how)
    return None, None


_NO = frozenset(text for text in YES_NO if text in ("false", "f", "no", "n", "0", "off"))


def _status(chooser: Chooser) -> dict[str, Any] | None:
    """A condition on the HTTP status, if there is one: only answers with content are plays."""
    for each in chooser.fields:
        numbers = [int(number) for number in each.numbers]
        named = "status" in each.words and len(numbers) == len(each.given)
        if (
            named and numbers and all(100 <= number < 600 for number in numbers) and set(STATUS_OK) & set(each.texts)
        ):  # HTTP
            chooser.take(each)
            return each.source(**{"is": list(STATUS_OK)})
    return None


def watch_fields(chooser: Chooser) -> dict[str, Choice]:
    """Sources of ``watch_ms`` and ``duration_ms``."""
    numeric = [
        each
        for each in chooser.fields
        if _is_number(each) and not chooser.layouts(each) and abs(median(each.numbers)) <= LONGEST_MS
        if not _OTHER_UNITS & set(each.words)
    ]
    watch = _best(numeric, lambda each: hint(each, words.WATCH))
    duration = _best(
        [each for each in numeric if each is not watch],
        lambda each: hint(each, words.DURATION) - 2 * (hint(each, words.WATCH) >= NAMED),
    )
    found: dict[str, Choice] = {}
    unit, sure = _unit([each for each in (watch, duration) if each is not None])
    fits = watch is None or duration is None or _fits(watch, duration)
    for name, each in (("watch_ms", watch), ("duration_ms", duration)):
        if each is None:
            continue
        chooser.take(each)
        other = {} if unit == "s" else {"unit": "s"}
        how = {"unit": "s"} if unit == "s" else {}
        why = f"{'seconds' if unit == 's' else 'milliseconds'}, median {median(each.numbers):,.0f}"
        others = [] if sure else [each.source(**other)]
        found[name] = Choice(each.source(**how), why, others, sure and fits)
    return found


def _is_number(each: Field) -> bool:
    return len(each.numbers) >= 0.6 * len(each.given) and not is_yes_no(each)


def _best(fields: list[Field], score: Any) -> Field | None:
    named = [(score(each), each) for each in fields]
    named = [pair for pair in named if pair[0] >= NAMED]
    return max(named, key=lambda pair: pair[0])[1] if named else None


def _fits(watch: Field, duration: Field) -> bool:
    """Whether the watch time is at most the duration in most records."""
    pairs = []
    for one, other in zip(watch.values, duration.values, strict=True):
        try:
            pairs.append((float(one), float(other)))
        except (TypeError, ValueError):
            continue
    return not pairs or sum(one <= other * 1.05 for one, other in pairs) >= 0.7 * len(pairs)


def _unit(fields: list[Field]) -> tuple[str, bool]:
    """Unit of the fields ("s" or "ms"), and whether it is sure: by their names, then by their numbers."""
    named = {term for each in fields for term in each.words}
    if named & {"ms", "millis", "milliseconds", "msec"}:
        return "ms", True
    if named & {"seconds", "secs", "sec", "s"}:
        return "s", True
    numbers = [number for each in fields for number in each.numbers if number > 0]
    if not numbers:
        return "ms", False
    if any(not number.is_integer() for number in numbers) or max(numbers) <= SURE_SECONDS:
        return "s", True
    if median(numbers) >= SURE_MS:
        return "ms", True
    return ("ms" if all(number % 1000 == 0 for number in numbers) else "s"), False
