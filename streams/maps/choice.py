"""Chooses the field of a sample for each field of an event, by name and by values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from streams.maps import vocabulary as words
from streams.maps.fields import Field
from streams.maps.likeness import (
    clock_layout,
    has_hops,
    is_address,
    is_day,
    is_few,
    is_id,
    is_yes_no,
    mostly,
    resembles,
    time_layouts,
)
from streams.maps.vocabulary import IDS, NAMED, has_around, has_word, hint, inside, is_counter, is_id_number, named_by

_NOT_THE_EVENT = (words.ACTOR | words.TARGET) - words.EVENT_ID
"""Words that mean the id of a person or a thing."""
WEAK = frozenset(("url", "uri", "path", "request", "link", "slug", "title", "page"))
"""Name parts of weaker targets: the URL of a page is worse than the id of its content."""
NAMES = frozenset(("name", "title", "email", "label", "text", "display", "nick"))
COVERED = 0.98
"""A field in at least this share of the documents needs no alternative."""
TIMES_MIN = 0.6
"""Share of a field's values that must be times, if no field consists of times almost only."""
FEW = 50
"""In fewer records than this, repeated ids are weak evidence."""
SHOWN = 3
"""Largest number of alternatives written as comments."""


@dataclass
class Choice:
    """The source of one field of the event, the reason, and alternatives."""

    source: dict[str, Any]
    why: str
    others: list[dict[str, Any]] = field(default_factory=list)
    sure: bool = True


Score = Callable[[Field], float]


class Chooser:
    """Chooses among the fields of a sample; each is used for one field of the event only."""

    def __init__(self, fields: Iterable[Field], latest_ms: float) -> None:
        self.fields = [each for each in fields if each.given]
        self._latest_ms = latest_ms
        self.rows = False
        """whether the records are changes of rows: then the id of a row repeats"""
        self._taken: set[tuple[str, tuple[str, ...]]] = set()
        self._layouts = {(each.place, each.path): time_layouts(each, latest_ms) for each in self.fields}

    def layouts(self, found: Field) -> list[str]:
        """The layouts in which a field's values are times."""
        return self._layouts[found.place, found.path]

    def layouts_of(self, values: Field) -> list[str]:
        """The layouts in which the values of any field are times."""
        return time_layouts(values, self._latest_ms)

    def take(self, found: Field) -> None:
        """Mark a field as used."""
        self._taken.add((found.place, found.path))

    def ranked(self, score: Score) -> list[tuple[float, Field]]:
        """The unused fields with a positive score, best first; ties in document order."""
        scored = [(score(each), each) for each in self.fields if (each.place, each.path) not in self._taken]
        return sorted((pair for pair in scored if pair[0] > 0), key=lambda pair: -pair[0])

    def best(self, score: Score) -> float:
        """The best score; 0 if there is none."""
        ranked = self.ranked(score)
        return ranked[0][0] if ranked else 0.0

    # ---------------------------------------------------------------- one field of the event each

    def time(self) -> Choice | None:
        """Source of the event's time."""
        ranked = self.ranked(self.time_score)
        certain = bool(ranked)
        if not ranked:
            for each in self.fields:
                self._layouts[each.place, each.path] = time_layouts(each, self._latest_ms, TIMES_MIN)
            ranked = self.ranked(self.time_score)
        if not ranked:
            return None
        score, first = ranked[0]
        self.take(first)
        layouts = self.layouts(first)
        clock = self._clock(first, layouts[0]) if is_day(first, layouts[0]) else None
        if clock is not None:
            return clock
        pieces = [first.source(**_layout(layouts[0]))]
        rest = ranked[1:]
        if first.share < COVERED:
            other = self._complement(first, [each for _, each in rest])
            if other is not None:
                self.take(other)
                pieces.append(other.source(**_layout(self.layouts(other)[0])))
        others = [first.source(time=layout) for layout in layouts[1:]]
        others += [each.source(**_layout(self.layouts(each)[0])) for near, each in rest if near > score - 1]
        why = f"{first.share:.0%} of the records have it" if first.share < COVERED else f"example: {_example(first)}"
        if is_day(first, layouts[0]):
            why, certain = f"{why}; this is a day: all events of a day have the same time", False
        return Choice(_one_or_first(pieces), why, others[:SHOWN], certain and score >= NAMED and len(layouts) == 1)

    def _clock(self, day: Field, layout: str) -> Choice | None:
        """The time from a day and a time of day in another field."""
        for each in self.fields:
            found = clock_layout(each)
            named = hint(each, words.TIME) >= NAMED and each.place == day.place
            if found is None or not named:
                continue
            self.take(each)
            whole = "iso" if layout == "iso" and "%p" not in found else None
            whole = whole or f"{'%Y-%m-%d' if layout == 'iso' else layout} {found}"
            return Choice({"join": [day.source(), each.source()], "time": whole}, f"example: {_example(each)}")
        return None

    def created(self) -> Choice | None:
        """Source of the time at which the actor's account was created."""
        ranked = self.ranked(self.created_score)
        if not ranked:
            return None
        found = ranked[0][1]
        self.take(found)
        return Choice(found.source(**_layout(self.layouts(found)[0])), f"example: {_example(found)}")

    def text(self, score: Score, **how: Any) -> Choice | None:
        """The best field, unchanged."""
        ranked = self.ranked(score)
        if not ranked:
            return None
        best, found = ranked[0]
        self.take(found)
        return Choice(found.source(**how), f"example: {_example(found)}", sure=best >= NAMED)

    def named(self, score: Score) -> Choice | None:
        """An id: the best field, with the next best as a fallback."""
        ranked = self.ranked(score)
        if not ranked:
            return None
        best, found = ranked[0]
        self.take(found)
        rest = [each for _, each in ranked[1:]]
        pieces = [found]
        inside = [each for each in rest if found.nested and each.path[: len(found.path)] == found.path]
        if inside:
            pieces = [inside[0], found]
        elif found.share < COVERED:
            other = self._complement(found, rest)
            pieces += [] if other is None else [other]
        for piece in pieces:
            self.take(piece)
        others = [each.source() for near, each in ranked[1:] if near > best - 1 and each not in pieces]
        count = f"{found.distinct:,} different values in {len(found.given):,} records"
        return Choice(_one_or_first([each.source() for each in pieces]), count, others[:SHOWN], best >= NAMED)

    @staticmethod
    def _complement(found: Field, candidates: list[Field]) -> Field | None:
        """A field that is present in most of the documents that lack ``found``."""
        gaps = [place for place, value in enumerate(found.values) if value is None]
        for each in candidates:
            filled = sum(each.values[place] is not None for place in gaps)
            if filled >= 0.8 * len(gaps) and each.place == found.place:
                return each
        return None

    # ---------------------------------------------------------------- scores

    def time_score(self, each: Field) -> float:
        """Score as the event's time."""
        layouts = self.layouts(each)
        if not layouts or has_word(each, words.NO_TIME):
            return 0.0
        named = hint(each, words.TIME)
        if self.created_score(each) or (named == 0 and layouts[0] in ("us", "ns")):
            return 0.0
        first = 0.5 if has_word(each, frozenset(("event", "occurred", "happened"))) else 0
        vague = NAMED * is_constant(each) + is_day(each, layouts[0])
        return max(0.1, 0.5 + named + 0.5 * each.share + first - vague)

    def created_score(self, each: Field) -> float:
        """Score as the time at which the actor's account was created."""
        if not self.layouts(each) or has_word(each, words.NO_TIME):
            return 0.0
        if has_word(each, words.REGISTERED):
            return 3.0
        return NAMED if has_word(each, words.CREATED) and has_around(each, words.ACTOR) else 0.0

    def actor_score(self, each: Field) -> float:
        """Score as the actor."""
        score = self._person_or_thing(each, words.ACTOR)
        if score == 0:
            return 0.0
        score += 2 * has_word(each, words.ACTOR_FIRST) - 2 * has_word(each, words.TARGET_FIRST)
        return score + 0.5 * each.distinct / len(each.given)

    def target_score(self, each: Field) -> float:
        """Score as the target."""
        score = self._person_or_thing(each, words.TARGET)
        if score == 0 or self.event_id_score(each):
            return 0.0
        score -= len(each.given) >= FEW and each.distinct == len(each.given)  # acts on different things each
        score += 2 * has_word(each, words.TARGET_FIRST) - 2 * has_word(each, words.ACTOR_FIRST)
        return score + 0.5 * (1 - each.distinct / len(each.given)) - has_word(each, WEAK)

    def _person_or_thing(self, each: Field, known: frozenset[str]) -> float:
        if not is_id(each):
            return 0.0
        named = 3.0 if set(each.words) <= IDS and inside(each, known) else hint(each, known)
        written = self.layouts(each) and not each.numbers
        if named == 0 or written or (self.layouts(each) and named < NAMED) or is_address(each) or is_counter(each):
            return 0.0
        named += 0.5 * has_word(each, IDS) - 0.5 * has_word(each, NAMES) + 0.5 * each.share
        return max(0.1, named - NAMED * is_constant(each))

    def unnamed_score(self, each: Field) -> float:
        """Score as an id, by its values only: the share of different values."""
        odd = self.layouts(each) or resembles(each, "agent") or is_yes_no(each) or resembles(each, "country")
        odd = odd or is_counter(each) or is_constant(each)
        if odd or not is_id(each) or is_address(each) or each.share < 0.5:  # half of the records
            return 0.0
        return each.distinct / len(each.given)

    def event_id_score(self, each: Field) -> float:
        """Score as the id of the event."""
        own = set(each.words) - {"the", "insert"}
        least = 0.3 if self.rows else TIMES_MIN if len(each.given) < FEW else 0.8
        if not is_id(each) or each.distinct < least * len(each.given) or len(each.given) < 2 or not own:
            return 0.0
        if not own <= words.EVENT_ID or has_around(each, _NOT_THE_EVENT) or own == {"event"}:
            return 0.0
        return 2.0 + (own != {"id"}) - 0.1 * len(each.path) + 0.5 * each.share

    def owner_score(self, each: Field) -> float:
        """Score as the owner of the target."""
        return hint(each, words.OWNER) if is_id(each) and not self.layouts(each) and not has_word(each, NAMES) else 0.0

    def session_score(self, each: Field) -> float:
        """Score as the session."""
        return named_by(each, words.SESSION) if is_id(each) and not self.layouts(each) else 0.0

    def address_score(self, each: Field) -> float:
        """Score as the actor's IP address."""
        return 1.0 + hint(each, words.ADDRESS) + has_around(each, words.ACTOR) if is_address(each) else 0.0

    def agent_score(self, each: Field) -> float:
        """Score as the user agent."""
        if (
            not each.texts
            or not mostly(each.given, lambda value: isinstance(value, str))
            or resembles(each, "url", 0.1)
        ):
            return 0.0
        named = "agent" in each.words or each.words in (("ua",), ("useragent",))
        if resembles(each, "agent", 0.5):
            return 1.0 + 2 * named + resembles(each, "agent")
        return NAMED if named and not is_id_number(each) else 0.0

    def referrer_score(self, each: Field) -> float:
        """Score as the referrer."""
        return named_by(each, words.REFERRER) if not each.numbers else 0.0

    def country_score(self, each: Field) -> float:
        """Score as the country."""
        named = named_by(each, words.COUNTRY)
        if any(character.isdigit() for text in each.texts for character in text):  # regions of a cloud
            return 0.0
        if named and not each.numbers and max(map(len, each.texts), default=0) <= 64:  # a name's length
            return named
        if each.distinct < 2 or not resembles(each, "country") or not is_few(each):  # one word may mean anything
            return 0.0
        return float(all(text.isupper() for text in each.texts))


def is_constant(each: Field) -> bool:
    """Whether many records all have the same value, which then identifies neither a person nor a thing."""
    return each.distinct == 1 and len(each.given) >= FEW


def hops(choice: Choice, fields: Iterable[Field]) -> Choice:
    """Suggest the first hop of a list of addresses, as a guess: the values do not show which hop is the actor's."""
    for each in fields:
        if each.source() == choice.source and has_hops(each):
            return Choice({**choice.source, "hop": 0}, choice.why, [{**choice.source, "hop": -1}], sure=False)
    return choice


def _layout(layout: str) -> dict[str, str]:
    return {} if layout == "ms" else {"time": layout}


def _one_or_first(pieces: list[dict[str, Any]]) -> dict[str, Any]:
    return pieces[0] if len(pieces) == 1 else {"first": pieces}


def _example(each: Field) -> str:
    text = each.texts[0] if each.texts else ", ".join(each.given[0])
    return text if len(text) <= 40 else text[:37] + "…"  # characters of an example in a comment
