"""Recorded files as people have them: what is counted, what is refused and why, and how the command ends."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.streams.recorded_files import Command, map_of

REFUSED_BY_MAP = """\
{"ts":1767634490,"actor":"a1","target":"v1","metric":"view"}
{"ts":1767634491000,"actor":"a2","target":"v1","metric":"view"}
{"ts":1767634492,"actor":"a3","target":"v1","metric":"view","watched":-5}
{"ts":1767634493,"actor":"a4","target":"v1","metric":"view","watched":"n/a"}
{"ts":"yesterday","actor":"a5","target":"v1","metric":"view"}
{"ts":1767634495,"actor":"a6","target":"v1","metric":"share"}
{"ts":1767634496,"actor":"","target":"v1","metric":"view"}
{"ts":1767634497,"actor":"a8","target":"v1","kind":"view"}
"""
DOTTED_COLUMNS = """\
uuid,timestamp,distinct_id,properties.$current_url,properties.$ip,viewer.account_id
e1,2026-01-05T17:30:00.000Z,a1,/v/42,203.0.113.9,77
e2,2026-01-05T17:31:00.000Z,a2,/v/42,203.0.113.10,78
e3,2026-01-05T17:32:00.000Z,a3,/v/43,203.0.113.11,79
"""
QUOTE_NEVER_CLOSED = """\
t,user,item,agent
1767634490,u1,v1,"multi
line, agent"
1767634491,u2,v1,x
1767634492,u3,v1,"unclosed
1767634493,u4,v1,x
1767634494,u5,v1,x
"""
LATIN1 = b"t,user,item,agent\n1767634490,Jos\xe9,v1,x\n1767634491,u2,v1,caf\xe9\n1767634492,u3,v1,x\n"
NATIVE = "ts,actor,target,metric\n" + "".join(f"{1767634490000 + n},a{n},v1,view\n" for n in range(5))
WITH_AGENT = map_of("t", "user", "item", more='user_agent = "agent"\n')


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """The command, with a directory of its own."""
    return Command(tmp_path)


def values(command: Command) -> list[bytes]:
    return [base64.b64decode(letter["value_base64"]) for letter in command.lines("dead-letters")]


def test_what_the_map_refuses_is_refused_for_the_maps_reason(command: Command) -> None:
    layout = map_of("ts", "actor", "target", more='watch_ms = "watched"\n').replace('{value = "view"}', '"metric"')
    answer = command.replay(REFUSED_BY_MAP, "x.ndjson", layout)
    summary = answer.summary()
    assert command.counts() == {"v1": (3, 3)}
    assert summary["refused"] == {"bad_time": 2, "unknown_metric": 1, "missing_field": 2}
    assert sum(summary["unread"]["watch_ms"].values()) == 2
    assert [letter["line"] for letter in command.lines("dead-letters")] == [2, 5, 6, 7, 8]
    assert values(command) == [REFUSED_BY_MAP.encode().splitlines()[line - 1] for line in (2, 5, 6, 7, 8)]
    assert answer.code == 1
    assert summary["most_frequent"]["reason"] in {"bad_time", "missing_field"}


def test_tsv_has_no_quoting(command: Command) -> None:
    titles = ['"Weird_Al"_Yankovic', '"Heroes"_(album)', '12"_single', '"Hello,_World', "Main_Page", '"', 'a\\b"c']
    rows = [(1767634491 + n, f"u{n}", titles[n % len(titles)]) for n in range(163)]
    text = "ts\tactor\tpage\n" + "".join(f"{ts}\t{actor}\t{page}\n" for ts, actor, page in rows)
    answer = command.replay(text, "x.tsv", map_of("ts", "actor", "page"))
    assert answer.code == 0, answer.err
    counts = command.counts()
    assert set(counts) == set(titles)
    assert sum(raw for raw, _ in counts.values()) == sum(valid for _, valid in counts.values()) == 163


def test_a_path_is_a_columns_name_even_with_dots(command: Command) -> None:
    layout = map_of("timestamp", "viewer.account_id", "properties.$current_url", "iso")
    assert command.replay(DOTTED_COLUMNS, "x.csv", layout).code == 0
    assert command.counts() == {"/v/42": (2, 2), "/v/43": (1, 1)}


def test_a_key_with_dots_is_reached_too(command: Command) -> None:
    first = dict(
        zip(*(line.split(",") for line in DOTTED_COLUMNS.splitlines()[:2]), strict=True)  # a header and a row
    )
    layout = map_of("timestamp", "viewer.account_id", "properties.$current_url", "iso")
    assert command.replay(json.dumps(first), "x.ndjson", layout).code == 0
    assert command.counts() == {"/v/42": (1, 1)}


def test_a_column_that_is_there_twice_is_refused_by_name(command: Command) -> None:
    text = "ts,user,item,user\n1767634490,viewer1,v1,owner1\n"
    answer = command.replay(text, "x.csv", map_of("ts", "user", "item"))
    assert answer.code == 2
    assert "'user'" in answer.err
    assert answer.err.count("\n") == 1


def test_an_odd_byte_costs_an_optional_text_its_byte_and_an_actor_the_event(command: Command) -> None:
    answer = command.replay(LATIN1, "x.csv", WITH_AGENT)
    assert command.counts() == {"v1": (2, 2)}
    assert answer.summary()["refused"] == {"invalid_utf8": 1}
    assert values(command) == [b"1767634490,Jos\xe9,v1,x"]
    assert command.lines("dead-letters")[0]["line"] == 2


def test_a_quote_that_is_never_closed_is_one_dead_letter_and_the_last_line_says_so(command: Command) -> None:
    answer = command.replay(QUOTE_NEVER_CLOSED, "x.csv", WITH_AGENT)
    assert answer.code == 1
    assert command.counts() == {"v1": (2, 2)}
    (letter,) = command.lines("dead-letters")
    assert (letter["line"], letter["reason"], letter["topic"]) == (5, "bad_row", "x.csv")
    assert values(command) == ["\n".join(QUOTE_NEVER_CLOSED.splitlines()[4:]).encode()]
    last = answer.err.splitlines()[-1]
    assert "3 of 5" in last
    assert "line 5: a quotation mark is opened and never closed" in last


def test_a_quote_that_a_later_one_closes_takes_no_rows_with_it_silently(command: Command) -> None:
    text = 't,user,item,agent\n1,u1,v1,"open\n2,u2,v1,x\n3,u3,v1,"closed"\n4,u4,v1,x\n5,u5,v1,6"\n6,u6,v1,x\n'
    text = text.replace("\n", "\n17676344", 6).replace("\n17676344", "\n176763449")
    answer = command.replay(text, "x.csv", WITH_AGENT)
    lost = b"\n".join(values(command)).decode()
    counted = sum(raw for raw, _ in command.counts().values())
    assert answer.code == 1
    assert counted + len(lost.splitlines()) == 6, "every line is an event or stands in a dead letter"
    assert '"open' in lost


def test_a_row_of_another_length_is_a_dead_letter(command: Command) -> None:
    text = NATIVE + "1,2\n1767634490009,a9,v1,view,more\n"
    answer = command.replay(text, "x.csv", None, "--allow-bad")
    assert answer.code == 0
    assert command.counts() == {"v1": (5, 5)}
    assert [(letter["line"], letter["reason"]) for letter in command.lines("dead-letters")] == [
        (7, "bad_row"),
        (8, "bad_row"),
    ]
    assert "has 2 columns, the header has 4" in command.lines("dead-letters")[0]["message"]


def test_a_map_is_not_needed_where_columns_have_native_names(command: Command) -> None:
    assert command.replay(NATIVE, "x.csv").code == 0
    assert command.counts() == {"v1": (5, 5)}


def test_where_a_column_is_missing_the_sentence_names_it_and_what_there_is(command: Command) -> None:
    answer = command.replay("when,who\n1,2\n", "x.csv")
    assert answer.code == 2
    assert "has no column metric, ts, actor, target; it has when, who" in answer.err
    answer = command.replay("when,who\n1,2\n", "x.csv", map_of("when", "who", "item"))
    assert answer.code == 2
    assert "has no column 'item' (mapped to target); it has when, who" in answer.err


@pytest.mark.parametrize("layout", [None, map_of("ts", "actor", "target")], ids=["native", "mapped"])
@pytest.mark.parametrize("text", ["", "ts,actor,target,metric\n", "\n\n", "[]", '{"ts":'])
def test_a_file_without_events_is_not_a_success(command: Command, text: str, layout: str | None) -> None:
    answer = command.replay(text, "x", layout)
    assert answer.code == 1
    assert answer.err.count("\n") == 1
    assert ("x has no records" in answer.err) is (text != '{"ts":')
    assert command.replay(text, "x", layout, "--allow-bad").code == 0


def test_records_that_are_filtered_are_counted_and_a_file_of_them_alone_was_not_read(command: Command) -> None:
    layout = map_of("t", "u", "m", more="").replace("[map]", 'keep = [{path = "event", is = "play"}]\n[map]', 1)
    rows = [{"t": 1767634490 + n, "u": f"u{n}", "m": "m1", "event": name} for n, name in enumerate(["play", "pause"])]
    answer = command.replay("\n".join(map(json.dumps, rows)), "x.ndjson", layout)
    assert (answer.code, answer.err) == (0, "")
    assert answer.summary()["skipped"] == {"filtered": 1}
    answer = command.replay(json.dumps(rows[1]), "x.ndjson", layout)
    assert answer.code == 1
    assert "all are skipped (filtered 1)" in answer.err


@pytest.mark.parametrize(("bad", "code"), [(1, 0), (3, 1)])
def test_more_than_one_in_a_hundred_lost_ends_with_exit_code_1(command: Command, bad: int, code: int) -> None:
    rows = [f"{1767634490000 + n},a{n},v1,view" for n in range(200)] + ["never,a,v1,view"] * bad
    text = "ts,actor,target,metric\n" + "\n".join(rows)
    answer = command.replay(text, "x.csv")
    assert answer.code == code
    assert "bad_time" in answer.err, "what is lost is told in either case"
    assert "line 202" in answer.err
    assert answer.summary()["most_frequent"]["line"] == 202
    assert command.replay(text, "x.csv", None, "--allow-bad").code == 0


def test_the_future_is_refused_as_it_is_in_a_topic(command: Command) -> None:
    text = NATIVE + "4102444800000,a9,v1,view\n"
    answer = command.replay(text, "x.csv")
    assert answer.summary()["refused"] == {"from_future": 1}


def test_a_wrong_unit_is_named(command: Command) -> None:
    answer = command.replay(NATIVE.replace("0000,", "0,").replace("17676344900", "1767634490"), "x.csv")
    assert answer.code == 1
    assert 'time = "s" would fit' in answer.err


def test_a_file_that_is_not_in_order_is_sorted_and_says_so(command: Command) -> None:
    rows = [f"{1767634490000 + 60_000 * n},a{n},v{n % 3},view" for n in range(300)]
    header = "ts,actor,target,metric\n"
    forwards = command.replay(header + "\n".join(rows), "x.csv").summary()
    counts = command.counts()
    backwards = command.replay(header + "\n".join(reversed(rows)), "x.csv").summary()
    assert (forwards["sorted"], backwards["sorted"]) == (False, True)
    assert forwards["late"] == backwards["late"] == 0
    assert counts == command.counts()
    assert len(command.lines("audited-counts")) == len({row["revision"] for row in command.lines("audited-counts")}) * 3


def test_a_broken_line_of_ndjson_is_refused_with_its_bytes(command: Command) -> None:
    good = '{"ts":1767634490000,"actor":"a","target":"v1","metric":"view"}'
    answer = command.replay(f"{good}\n\n{{broken\n{good}\n", "x.ndjson")
    assert answer.summary()["refused"] == {"not_json": 1}
    assert command.lines("dead-letters")[0]["line"] == 3
    assert values(command) == [b"{broken"]


def test_a_floor_that_the_workers_do_not_have_is_refused_before_anything_is_sent(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kafka.KafkaProducer.__init__", lambda *_, **__: None)
    monkeypatch.setattr("kafka.KafkaProducer.close", lambda *_, **__: None)
    (command.directory / "x.csv").write_text("t,user,item\n5,u1,v1\n")
    (command.directory / "map.toml").write_text("earliest = 0\n" + map_of("t", "user", "item"))
    answer = command.run("replay", str(command.directory / "x.csv"), "--map", str(command.directory / "map.toml"))
    assert answer.code == 2
    assert "set earliest = 0 there or under [time]" in answer.err


@pytest.mark.parametrize(("bad", "code"), [(1, 0), (9, 1)])
def test_a_backtest_of_a_file_of_which_much_is_lost_ends_with_exit_code_1(
    command: Command, bad: int, code: int
) -> None:
    rows = [f"{1767634490000 + 1000 * n},a{n % 9},v1,view,{n % 2}" for n in range(300)] + ["never,a,v,view,0"] * bad
    path = command.directory / "x.csv"
    path.write_text("ts,actor,target,metric,bought\n" + "\n".join(rows))
    arguments = ("backtest", str(path), "--labels", "bought", "--methods", "count_threshold", "--json")
    answer = command.run(*arguments)
    assert answer.code == code
    assert json.loads(answer.out)["reports"][0]["events"] == 300
    assert "line 302" in answer.err
    assert command.run(*arguments, "--allow-bad").code == 0


def test_where_nothing_is_found_the_command_says_so(command: Command) -> None:
    (command.directory / "plain.csv").write_text(NATIVE)
    answer = command.run("replay", str(command.directory / "plain.csv"), "--offline", "--out", str(command.out))
    assert (answer.code, answer.out.splitlines()[-1]) == (
        0,
        "no flags in 5 events of 1 targets",
    )
    shown = command.run("flags", "--from", str(command.out))
    assert (shown.out, shown.err) == ("", f"truecount: none yet: {command.out} has no flags\n")
