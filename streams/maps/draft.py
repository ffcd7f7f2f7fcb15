"""Makes a draft of a map from a sample of records: a choice for each event field, and the missing fields."""

from __future__ import annotations

from typing import Any

from detectors.windows.scales import DAY_MS
from streams.maps.acts import Acts, acts_of, watch_fields
from streams.maps.choice import Choice, Chooser, hops
from streams.maps.doubts import (
    add_nobody,
    fall_back,
    guess_metric,
    id_of_the_act,
    note_containers,
    note_header,
    note_numbers,
    note_placeholders,
    printable,
)
from streams.maps.envelope import Envelope, enveloped
from streams.maps.fields import Field, KeyPath, flatten, lists_of
from streams.maps.sample import Draft, Sample
from streams.maps.vocabulary import NAMED


def draft(sample: Sample) -> Draft:
    """Make a draft from a sample, which must have a document."""
    latest_ms = sample.latest_ms + DAY_MS
    documents = [document for document in sample.documents if isinstance(document, dict)]
    lists = [document for document in sample.documents if isinstance(document, list)]
    if len(lists) > len(documents):
        elements = [item for document in lists for item in document if isinstance(item, dict)]
        made = _draft(sample, list(flatten(elements).values()), latest_ms)
        made.each = "$"
        return made
    envelope = None if sample.tabular else enveloped(documents)
    if envelope is not None:
        return _of_rows(sample, envelope, latest_ms)
    fields = [*flatten(documents, tabular=sample.tabular).values(), *_record_fields(sample, len(documents))]
    best = _fan_out(sample, documents, fields, latest_ms)
    return _draft(sample, fields, latest_ms) if best is None else best


def _record_fields(sample: Sample, size: int) -> list[Field]:
    """The key and the headers of the records, as fields."""
    if len(sample.documents) != size:
        return []
    fields = []
    if any(sample.keys):
        fields.append(Field(("key",), [_text(key) for key in sample.keys], place="key"))
    names = dict.fromkeys(name for headers in sample.headers for name, _ in headers if name.isprintable())
    for name in names:
        values = [_text(next((value for key, value in headers if key == name), None)) for headers in sample.headers]
        fields.append(Field((name,), values, place="header"))
    return fields


def _text(value: bytes | None) -> str | None:
    try:
        text = None if value is None else value.decode()
    except UnicodeDecodeError:
        return None
    return text if text and text.isprintable() and not text.startswith(("{", "[")) else None


def _draft(sample: Sample, fields: list[Field], latest_ms: float) -> Draft:
    chooser = Chooser(fields, latest_ms)
    acts = acts_of(chooser, sample.name)
    return _assembled(sample, chooser, acts)


def _assembled(sample: Sample, chooser: Chooser, acts: Acts) -> Draft:
    made = Draft(metric=acts.metric, keep=acts.keep, skip=acts.skip, rows=chooser.rows)
    found: dict[str, Choice | None] = dict(acts.fields)
    address = chooser.text(chooser.address_score)
    found["ip"] = None if address is None else hops(address, chooser.fields)
    found["user_agent"] = chooser.text(chooser.agent_score)
    found["actor_created_at"] = chooser.created()
    found["ts"] = chooser.time() or (
        Choice({"timestamp": True}, "timestamp of the Kafka record") if sample.timed else None
    )
    if acts.removed is not None and found["ts"] is not None:
        ts = found["ts"].source
        found["ts"].source = {"first": [acts.removed, *ts.get("first", [ts])]}
    found.update(watch_fields(chooser))
    found["referrer"] = chooser.text(chooser.referrer_score)
    found["session"] = chooser.text(chooser.session_score)
    # A field that could be both is used for the one that its name matches better.
    pair = {"actor": chooser.actor_score, "target": chooser.target_score}
    for name in sorted(pair, key=lambda name: -chooser.best(pair[name])):
        found[name] = chooser.named(pair[name])
    found["id"] = chooser.text(chooser.event_id_score)
    found["country"] = chooser.text(chooser.country_score)
    found["owner"] = chooser.text(chooser.owner_score)
    fall_back(made, chooser, found)
    guess_metric(made, found)
    id_of_the_act(chooser, found)
    note_placeholders(made, chooser, found["actor"])
    add_nobody(made, chooser, found)
    note_numbers(made, chooser, found["actor"])
    note_containers(made, chooser)
    if sample.tabular:
        note_header(made, sample.documents[0])
    made.notes += acts.notes
    if acts.skipped:
        shown = ", ".join(f"{name} ({count:,})" for name, count in acts.skipped.most_common(10))
        made.notes.append(f"records with these words are skipped, because no act was recognised: {printable(shown)}")
    order = ("ts", "actor", "target", "metric", "undo", "history", "id", "owner", "ip", "country", "user_agent")
    for name in (*order, "session", "watch_ms", "duration_ms", "referrer", "actor_created_at"):
        choice = found.get(name)
        if choice is not None:
            made.choices[name] = choice
    given = [choice.source for choice in made.choices.values()]
    for choice in made.choices.values():
        choice.others = [other for other in choice.others if other not in given]
    return made


def _of_rows(sample: Sample, envelope: Envelope, latest_ms: float) -> Draft:
    """A draft for change data capture: the event's fields are in the rows, the act is the operation on them."""
    around = Chooser(envelope.around, latest_ms)
    acts = acts_of(around, sample.name)
    rows = Chooser(envelope.rows, latest_ms)
    rows.rows = True
    made = _assembled(sample, rows, Acts(acts.metric, skipped=acts.skipped, notes=acts.notes))
    written = around.time()
    own = made.choices.get("ts")
    after = None if own is None else envelope.after(own.source)
    for choice in made.choices.values():
        choice.source = envelope.wrapped(choice.source)
        choice.others = [envelope.wrapped(other) for other in choice.others]
    made.keep = acts.keep
    if written is not None:
        if own is None or "ts" in made.missing or own.source.get("timestamp"):
            made.choices["ts"] = written
            made.missing = [name for name in made.missing if name != "ts"]
        else:
            made.choices["ts"] = Choice({"first": [after, written.source]}, own.why, sure=own.sure)
    made.choices.update(acts.fields)
    return made


def _fan_out(sample: Sample, documents: list[dict[str, Any]], fields: list[Field], latest_ms: float) -> Draft | None:
    """A draft with an event for each element of a list, if the list has what the record itself lacks."""
    alone = Chooser(fields, latest_ms)
    if alone.best(alone.target_score) >= NAMED and alone.best(alone.time_score) >= NAMED:
        return None
    for path, elements, outers in lists_of(documents):
        if not elements:
            continue
        inner = list(flatten(elements).values())
        outer = [_around_list(each) for each in flatten(outers).values() if not _under(each.path, path)]
        both = Chooser([*inner, *outer], latest_ms)
        of_elements = Chooser(inner, latest_ms)
        if max(of_elements.best(of_elements.target_score), of_elements.best(of_elements.actor_score)) < NAMED:
            continue
        acts = acts_of(both, sample.name)
        made = _assembled(sample, both, acts)
        made.each = ".".join(path)
        made.notes.append(f"each record has a list at {made.each}; each element of it becomes an event")
        return made
    return None


def _under(path: KeyPath, above: KeyPath) -> bool:
    return path[: len(above)] == above


def _around_list(each: Field) -> Field:
    return Field(each.path, each.values, each.nested, "outer")
