"""Guesses and notes where the names of a sample's fields are not enough: ids, metric, undo, placeholders."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from streams.ingest.mapping.values import YES
from streams.maps import vocabulary as words
from streams.maps.choice import Choice, Chooser
from streams.maps.fields import Field, table_key
from streams.maps.likeness import is_address, is_document, mostly, resembles
from streams.maps.sample import Draft
from streams.maps.vocabulary import is_counter, is_id_number
from streams.settings.inputs import PLACEHOLDERS

REQUEST = r"^[A-Z]+ ([^ ?]+)"
"""Path of a request line, such as GET /episodes/7.mp3?x=1 HTTP/1.1."""
ROUNDED = re.compile(r"\d(?:[.,]\d+)?E\+\d\d").fullmatch
"""A number as spreadsheets write it if it has many digits."""
FREQUENT = 0.2
"""An actor with at least this share of the records may be a placeholder."""
MANY = 50
"""Records needed for such a note."""
PLACEHOLDER_SHARE, PLACEHOLDER_MIN = 0.02, 3
"""Smallest share and number of records of a placeholder that is noted: an id may be 0 by chance."""


def fall_back(made: Draft, chooser: Chooser, found: dict[str, Choice | None]) -> None:
    """Fill in the needed fields for which no name matches."""
    actor, session = found["actor"], found["session"]
    if session is not None and (actor is None or not actor.sure):
        others = [] if actor is None else [actor.source]
        found["actor"] = Choice(
            session.source, "no field has an actor id: the session identifies it", others, sure=False
        )
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


def add_nobody(made: Draft, chooser: Chooser, found: dict[str, Choice | None]) -> None:
    """Let views without an actor be nobody's, if a clear actor is absent from some records.

    Visitors without an account are usual. A like or a follow without one is an error of its producer.
    """
    actor, metric = found["actor"], found.get("metric")
    views = made.metric == "view" or (metric is not None and "view" in str(metric.source))
    if actor is None or not views or not actor.sure or "join" in actor.source:
        return
    pieces = actor.source.get("first", [actor.source])
    fields = [each for each in chooser.fields if each.source() in pieces]
    lacking = sum(all(value is None for value in row) for row in zip(*(each.values for each in fields), strict=True))
    if lacking:
        actor.source = {"first": [*pieces, {"value": "anonymous"}]}
        actor.why += f"; {lacking:,} records have none, and count as nobody's"


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
    nested = [
        each
        for each in chooser.fields
        if len(each.path) > 1 and each.path[-1:] == of_id.path[-1:] and (each.distinct > 1 or len(each.given) == 1)
    ]
    table = undo.source.get("words")
    inner: Counter[str] = Counter()
    for place, value in enumerate(of_undo.values):
        takes_back = table.get(table_key(value), False) if table else str(value).lower() in YES
        if takes_back:
            inner.update(each.name for each in nested if each.values[place] is not None)
    deepest = next((each for each in nested if each.name in dict(inner.most_common(1))), of_id)
    if deepest is not of_id:
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
        known = {text: count for text, count in counts.items() if text in PLACEHOLDERS and count >= least}
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


def note_containers(made: Draft, chooser: Chooser) -> None:
    """Note where values may be that were not found: documents in texts, and lists of texts."""
    if not made.missing:
        return
    for each in chooser.fields:
        if mostly(each.given, is_document):
            made.notes.append(f"{each.name} is a document in a text: a pattern can take a value out of it")
        elif mostly(each.given, lambda value: isinstance(value, list)) and not is_address(each):
            made.notes.append(f'{each.name} is a list: if each element is an act, each = "{each.name}" and path = "$"')


def note_header(made: Draft, row: dict[str, Any]) -> None:
    """Note a name of a column that is a number or a time: then the first line of the table may be a row."""
    for name in row:
        column = Field((name,), [name])
        if column.numbers or resembles(column, "iso"):
            made.notes.append(f"a column has the name {name}. If the file has no header, add one above its first line")
            return


def note_numbers(made: Draft, chooser: Chooser, actor: Choice | None) -> None:
    """Note totals and quantities: an event is one act, and a record of several acts counts as one."""
    totals = [each.name for each in chooser.fields if is_counter(each)]
    if totals and (actor is None or not actor.sure):
        made.notes.append(
            f"{', '.join(totals[:5])}: these seem to be totals. Each event must be a record of its own, with its actor"
        )
        return
    for each in chooser.fields:
        rounded = next(filter(ROUNDED, each.texts), None)
        if rounded is not None and words.KNOWN_IDS & {*each.words, "".join(each.words)}:
            made.notes.append(
                f"{each.name} has ids such as {rounded}: a spreadsheet has rounded them, so that many ids are the same "
                "now. Export it again, with ids as text"
            )
        whole = is_id_number(each) and all(number.is_integer() and number >= 0 for number in each.numbers)
        if whole and len(each.words) == 1 and each.words[0] in words.QUANTITY and max(each.numbers) > 1:
            made.notes.append(
                f"{each.name} has numbers up to {max(each.numbers):,.0f}. If a record stands for several acts, it is "
                "counted as one all the same: send a record for each act"
            )


def printable(text: str) -> str:
    """A text for a comment: unprintable characters become dots."""
    return "".join(character if character.isprintable() else "·" for character in text)
