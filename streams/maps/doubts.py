"""What a sample leaves open: fields that no name gives away, a metric to guess, ids that meet again, nobody's ids."""

from __future__ import annotations

from collections import Counter
from typing import Any

from streams.ingest.mapping.values import YES
from streams.maps import vocabulary as words
from streams.maps.choice import Choice, Chooser
from streams.maps.fields import word
from streams.maps.likeness import mostly
from streams.maps.sample import Draft

REQUEST = r"^[A-Z]+ ([^ ?]+)"
"""The path of a request line: GET /episodes/7.mp3?x=1 HTTP/1.1"""
FREQUENT = 0.2
"""Share of the records from which on one actor is likely nobody."""
MANY = 50
NOBODY, NOBODY_MIN = 0.02, 3
"""Share and number of records from which on a placeholder is worth a line: an id may be 0 by chance."""


def fall_back(made: Draft, chooser: Chooser, found: dict[str, Choice | None]) -> None:
    """What to put where no field has the name of a needed one."""
    for name in ("target", "actor"):
        if found[name] is None and name == "actor" and found["ip"] is not None:
            pieces = [found["ip"].source] + ([] if found["user_agent"] is None else [found["user_agent"].source])
            source = {"join": pieces} if len(pieces) > 1 else pieces[0]
            found[name] = Choice(
                _plain(source), "nobody has a name here: address and program stand for one", sure=False
            )
        elif found[name] is None:
            choice = _by_values(chooser, name)
            found[name] = choice
            if choice is None:
                made.missing.append(name)
                found[name] = Choice({"path": name}, "NOT FOUND: say where it is", sure=False)
    if found["ts"] is None:
        made.missing.append("ts")
        found["ts"] = Choice({"path": "ts"}, "NOT FOUND: say where it is", sure=False)
    target = found["target"]
    assert target is not None
    for each in chooser.fields:
        if each.source() == target.source and mostly(
            each.given, lambda value: isinstance(value, str) and " HTTP/" in value
        ):
            target.source = each.source(pattern=REQUEST)


def _plain(source: dict[str, Any]) -> dict[str, Any]:
    """A source as a piece of a joined actor: which hop it is means nothing there."""
    pieces = source.get("join")
    if pieces is not None:
        return {"join": [_plain(piece) for piece in pieces]}
    return {key: value for key, value in source.items() if key != "hop"}


def _by_values(chooser: Chooser, name: str) -> Choice | None:
    """An id that no name gives away: of actors there are many, of targets fewer."""
    ranked = chooser.ranked(chooser.unnamed_score)
    if not ranked:
        return None
    best = ranked[0][1] if name == "actor" else ranked[-1][1]
    chooser.take(best)
    others = [each.source() for _, each in ranked if each is not best][:3]
    return Choice(
        best.source(), f"by its values alone: {best.distinct:,} different in {len(best.given):,}", others, sure=False
    )


def say_metric(made: Draft, found: dict[str, Choice | None]) -> None:
    """Guess the metric where no field names it."""
    if made.metric is not None or "metric" in found:
        return
    for name in ("target", "actor", "id"):
        choice = found[name]
        path = None if choice is None else choice.source.get("path")
        made.metric = made.metric or (words.metric_named(path) if isinstance(path, str) else None)
    if made.metric is None:
        made.metric = "like" if "undo" in found or made.rows else "view"
        if found.get("watch_ms") is None:
            guess = f'metric = "{made.metric}" is a guess: nothing says whether these are views, likes or follows'
            made.notes.append(guess)


def id_of_the_act(chooser: Chooser, found: dict[str, Choice | None]) -> None:
    """Take the id of the act that an undo takes back where it is nested: its own id may be that of a person."""
    undo, ident = found.get("undo"), found["id"]
    if undo is None or ident is None:
        return
    by_source = {str(each.source()): each for each in chooser.fields}
    of_undo, of_id = by_source.get(str(where(undo.source))), by_source.get(str(where(ident.source)))
    if of_undo is None or of_id is None:
        return
    nested = [each for each in chooser.fields if len(each.path) > 1 and each.path[-1:] == of_id.path[-1:]]
    table = undo.source.get("words")
    inner: Counter[str] = Counter()
    for place, value in enumerate(of_undo.values):
        takes_back = table.get(word(value), False) if table else str(value).lower() in YES
        if takes_back:
            inner.update(each.name for each in nested if each.values[place] is not None)
    if inner:
        deepest = next(each for each in nested if each.name == inner.most_common(1)[0][0])
        found["id"] = Choice({"first": [deepest.source(), of_id.source()]}, "an undo has the id of its act")


def where(source: dict[str, Any]) -> dict[str, Any]:
    """A source without how it is read."""
    return {key: value for key, value in source.items() if key in ("path", "outer", "key", "header")}


def say_nobody(made: Draft, chooser: Chooser, actor: Choice | None) -> None:
    """Note actors that mean nobody."""
    for each in chooser.fields:
        if actor is None or each.source() != actor.source or not each.texts:
            continue
        counts = Counter(each.texts)
        least = max(NOBODY_MIN, NOBODY * len(each.texts))
        nobody = {
            text: count for text, count in counts.items() if text.lower() in words.PLACEHOLDERS and count >= least
        }
        for text, count in nobody.items():
            made.notes.append(
                f"actor {text!r} ({count:,} records) means nobody; placeholders has the list of such words"
            )
        text, count = counts.most_common(1)[0]
        if text not in nobody and len(each.texts) >= MANY and count >= FREQUENT * len(each.texts) and len(counts) > 3:
            made.notes.append(
                f"one actor, {printable(text)!r}, has {count / len(each.texts):.0%} of the records: if it means "
                "nobody, name it in placeholders"
            )


def printable(text: str) -> str:
    """A text for a comment: what is no character of a line is a dot."""
    return "".join(character if character.isprintable() else "·" for character in text)
