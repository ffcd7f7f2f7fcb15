"""Guesses and notes where the names of a sample's fields are not enough: ids, metric, undo, placeholders."""

from __future__ import annotations

from collections import Counter
from typing import Any

from streams.ingest.mapping.values import YES
from streams.maps import vocabulary as words
from streams.maps.choice import Choice, Chooser
from streams.maps.fields import table_key
from streams.maps.likeness import mostly
from streams.maps.sample import Draft

REQUEST = r"^[A-Z]+ ([^ ?]+)"
"""Path of a request line, such as GET /episodes/7.mp3?x=1 HTTP/1.1."""
FREQUENT = 0.2
"""An actor with at least this share of the records may be a placeholder."""
MANY = 50
"""Records needed for such a note."""
PLACEHOLDER_SHARE, PLACEHOLDER_MIN = 0.02, 3
"""Smallest share and number of records of a placeholder that is noted: an id may be 0 by chance."""


def fall_back(made: Draft, chooser: Chooser, found: dict[str, Choice | None]) -> None:
    """Fill in the needed fields for which no name matches."""
    for name in ("target", "actor"):
        if found[name] is None and name == "actor" and found["ip"] is not None:
            pieces = [found["ip"].source] + ([] if found["user_agent"] is None else [found["user_agent"].source])
            source = {"join": pieces} if len(pieces) > 1 else pieces[0]
            found[name] = Choice(
                _plain(source), "no field has an actor id: address and user agent identify the actor", sure=False
            )
        elif found[name] is None:
            choice = _by_values(chooser, name)
            found[name] = choice
            if choice is None:
                made.missing.append(name)
                found[name] = Choice({"path": name}, "NOT FOUND: write where it is", sure=False)
    if found["ts"] is None:
        made.missing.append("ts")
        found["ts"] = Choice({"path": "ts"}, "NOT FOUND: write where it is", sure=False)
    target = found["target"]
    assert target is not None
    for each in chooser.fields:
        if each.source() == target.source and mostly(
            each.given, lambda value: isinstance(value, str) and " HTTP/" in value
        ):
            target.source = each.source(pattern=REQUEST)


def _plain(source: dict[str, Any]) -> dict[str, Any]:
    """A source as a piece of a joined actor, without ``hop``, which is not allowed there."""
    pieces = source.get("join")
    if pieces is not None:
        return {"join": [_plain(piece) for piece in pieces]}
    return {key: value for key, value in source.items() if key != "hop"}


def _by_values(chooser: Chooser, name: str) -> Choice | None:
    """An id by its values only: there are more actors than targets."""
    ranked = chooser.ranked(chooser.unnamed_score)
    if not ranked:
        return None
    best = ranked[0][1] if name == "actor" else ranked[-1][1]
    chooser.take(best)
    others = [each.source() for _, each in ranked if each is not best][:3]
    return Choice(
        best.source(),
        f"by its values only: {best.distinct:,} different in {len(best.given):,} records",
        others,
        sure=False,
    )


def guess_metric(made: Draft, found: dict[str, Choice | None]) -> None:
    """Guess the metric if no field has it, and note the guess."""
    if made.metric is not None or "metric" in found:
        return
    for name in ("target", "actor", "id"):
        choice = found[name]
        path = None if choice is None else choice.source.get("path")
        made.metric = made.metric or (words.metric_named(path) if isinstance(path, str) else None)
    if made.metric is None:
        made.metric = "like" if "undo" in found or made.rows else "view"
        if found.get("watch_ms") is None:
            guess = (
                f'metric = "{made.metric}" is a guess: the records do not show whether they are views, likes or follows'
            )
            made.metric_guessed = True
            made.notes.append(guess)


def id_of_the_act(chooser: Chooser, found: dict[str, Choice | None]) -> None:
    """If the act that an undo takes back is nested, use the id of that act: the outer id may be a person's."""
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
        takes_back = table.get(table_key(value), False) if table else str(value).lower() in YES
        if takes_back:
            inner.update(each.name for each in nested if each.values[place] is not None)
    if inner:
        deepest = next(each for each in nested if each.name == inner.most_common(1)[0][0])
        found["id"] = Choice({"first": [deepest.source(), of_id.source()]}, "an undo must have the id of its act")


def where(source: dict[str, Any]) -> dict[str, Any]:
    """The location of a source, without the keys for how it is read."""
    return {key: value for key, value in source.items() if key in ("path", "outer", "key", "header")}


def note_placeholders(made: Draft, chooser: Chooser, actor: Choice | None) -> None:
    """Note actor ids that are, or may be, placeholders for an unknown actor."""
    for each in chooser.fields:
        if actor is None or each.source() != actor.source or not each.texts:
            continue
        counts = Counter(each.texts)
        least = max(PLACEHOLDER_MIN, PLACEHOLDER_SHARE * len(each.texts))
        known = {text: count for text, count in counts.items() if text.lower() in words.PLACEHOLDERS and count >= least}
        for text, count in known.items():
            made.notes.append(
                f"actor {text!r} ({count:,} records) is a placeholder for an unknown actor (see placeholders)"
            )
        text, count = counts.most_common(1)[0]
        if text not in known and len(each.texts) >= MANY and count >= FREQUENT * len(each.texts) and len(counts) > 3:
            made.notes.append(
                f"actor {printable(text)!r} has {count / len(each.texts):.0%} of the records. If it is a placeholder "
                "for an unknown actor, add it to placeholders"
            )


def printable(text: str) -> str:
    """A text for a comment: unprintable characters become dots."""
    return "".join(character if character.isprintable() else "·" for character in text)
