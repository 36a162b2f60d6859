import json
import math
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.runs import events as ev
from engines.runs.event_files import EventReader, EventWriter, read_last
from engines.runs.scores import Scores

STEP = ev.Step(3, 10, 0.3, 0.5, 1e-4, grad_norm=1.5, memory_peak_bytes=1024)


def read(path: Path) -> list[ev.Record]:
    return EventReader(path).read()


def test_every_kind_survives_a_round_trip() -> None:
    examples: list[ev.Event] = [
        ev.Queued(["cpu"], 2),
        ev.Started("cpu", "ab", {"python": "3"}, 7),
        ev.Resumed(4),
        ev.Phase("train", 9, "steps"),
        ev.Progress("test", 3, 9, 1.5, host_memory_bytes=5),
        STEP,
        ev.Evaluated("test", 2, Scores(accuracy=0.5), ["a", "b"], [[1, 0, 0], [0, 1, 0]], loss=0.1, step=3, epoch=1.0),
        ev.Repeat(0, "template", "plain", Scores(accuracy=1.0)),
        ev.Checkpoint(3, "checkpoints/3", 99),
        ev.Note("héllo\u2028", "warning"),
        ev.Dropped(3, "no_label", "reviews.csv"),
        ev.Overlap("test", "train", 2, dropped=4, dropped_from="train"),
        ev.Truncated("test", 5, 9, 512),
        ev.Unread("test", 40, 900),
        ev.Untrained("head"),
        ev.Selected(12, "validation", "accuracy", 0.7),
        ev.Adjusted("out_of_memory", {"training.batch_size": 4}, {"training.batch_size": 2}),
        ev.Finished(model="m", scores=Scores(accuracy=1.0), seconds=2.0),
        ev.Failed("ValueError", "no", "trace", "hint"),
        ev.Stopped("asked", step=3),
    ]
    assert {e.kind for e in examples} == set(ev.KINDS)
    for seq, event in enumerate(examples):
        record = ev.decode(ev.encode(event, seq, 12.5))
        assert record is not None
        assert (record.seq, record.time, record.event, record.extra) == (seq, 12.5, event, {})


@given(st.text(), st.floats(allow_nan=True, allow_infinity=True))
def test_any_text_and_any_number_make_one_valid_json_line(text: str, loss: float) -> None:
    line = ev.encode(ev.Note(text), 0, 0.0)
    assert line.count(b"\n") == 1 and json.loads(line)["text"] == text
    record = ev.decode(ev.encode(ev.Step(1, 2, 0.5, loss, 0.1), 0, 0.0))
    assert record is not None and isinstance(record.event, ev.Step)
    assert record.event.loss == loss or math.isnan(loss) and math.isnan(record.event.loss)


def test_nan_is_written_as_null_with_its_field_named() -> None:
    values = json.loads(ev.encode(ev.Step(1, 2, 0.5, float("nan"), 0.1), 0, 0.0))
    assert values["loss"] is None and values["not_finite"] == {"loss": "nan"}


def test_unknown_kinds_are_skipped_and_unknown_fields_kept(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(
        b'{"seq":0,"time":1,"kind":"telepathy","x":1}\n{"seq":1,"time":2,"kind":"note","text":"a","mood":"b"}\n'
    )
    (record,) = read(path)
    assert record.event == ev.Note("a") and record.extra == {"mood": "b"}


def test_a_torn_last_line_waits_for_its_newline(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    line = ev.encode(ev.Note("whole"), 0, 1.0)
    reader = EventReader(path)
    assert reader.read() == []
    path.write_bytes(line + line[:9])
    assert len(reader.read()) == 1
    assert reader.read() == []
    with path.open("ab") as file:
        file.write(line[9:])
    assert len(reader.read()) == 1 and reader.bad_lines == 0


def test_a_bad_line_is_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\0\0garbage\n[1]\n" + ev.encode(ev.Note("after"), 0, 1.0))
    reader = EventReader(path)
    assert [r.event for r in reader.read()] == [ev.Note("after")]
    assert reader.bad_lines == 2


def test_a_shrunk_file_is_read_again_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(ev.encode(ev.Note("one"), 0, 1.0) * 3)
    reader = EventReader(path)
    assert len(reader.read()) == 3
    path.write_bytes(ev.encode(ev.Note("new"), 0, 1.0))
    assert [r.event for r in reader.read()] == [ev.Note("new")] and reader.restarted


def test_the_writer_cuts_a_torn_tail_and_goes_on_counting(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    first = EventWriter(path)
    first.write(ev.Note("one"))
    first.write(ev.Note("two"))
    first.close()
    with path.open("ab") as file:
        file.write(b'{"seq":2,"time":3,"ki')
    second = EventWriter(path)
    second.write(ev.Note("three"))
    second.close()
    assert [(r.seq, r.event) for r in read(path)] == [(0, ev.Note("one")), (1, ev.Note("two")), (2, ev.Note("three"))]


def test_a_torn_first_line_leaves_an_empty_file_and_seq_zero(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"seq":0,"ti')
    writer = EventWriter(path)
    writer.write(ev.Note("a"))
    writer.close()
    assert [r.seq for r in read(path)] == [0]


def test_a_short_write_is_cut_back_and_the_event_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.jsonl"
    writer = EventWriter(path)
    writer.write(ev.Note("before"))
    real, full = os.write, True

    def short(fd: int, data: bytes) -> int:
        return real(fd, data[:7]) if full else real(fd, data)

    monkeypatch.setattr(os, "write", short)
    writer.write(ev.Note("during"))
    assert [r.event for r in read(path)] == [ev.Note("before")] and path.read_bytes().endswith(b"\n")
    full = False
    writer.write(ev.Note("after"))
    writer.close()
    assert [(r.seq, r.event) for r in read(path)] == [
        (0, ev.Note("before")),
        (1, ev.Note("during")),
        (2, ev.Note("after")),
    ]


def test_a_full_disk_raises_nothing_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.jsonl"
    writer = EventWriter(path)
    real, full = os.write, True

    def refuse(fd: int, data: bytes) -> int:
        if full:
            raise OSError(28, "No space left on device")
        return real(fd, data)

    monkeypatch.setattr(os, "write", refuse)
    for n in range(3):
        writer.write(ev.Note(str(n)))
    full = False
    writer.close()
    assert [r.event for r in read(path)] == [ev.Note("0"), ev.Note("1"), ev.Note("2")]


def test_reading_the_end_of_a_long_file_gives_its_last_records(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(ev.encode(STEP, n, 1.0) for n in range(5000)))
    last = read_last(path, 4096)
    assert last[-1].seq == 4999 and 10 < len(last) < 60


def test_a_torn_tail_that_the_next_writer_cuts_off_costs_a_reader_no_event(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(ev.encode(ev.Note("one"), 0, 1.0) + b'{"seq":1,"time":2,"ki')
    reader = EventReader(path)
    assert len(reader.read()) == 1
    writer = EventWriter(path)  # the worker that goes on
    writer.write(ev.Note("a line longer than what was torn"))
    writer.close()
    assert [r.seq for r in reader.read()] == [1] and reader.bad_lines == 0


def test_a_line_longer_than_the_limit_of_a_read_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(ev.encode(ev.Note("x" * 1000), 0, 1.0) + ev.encode(ev.Note("next"), 1, 1.0))
    reader = EventReader(path)
    assert [[r.seq for r in reader.read(100)] for _ in range(3)] == [[0], [1], []]


def bytes_read() -> int:
    """By this process, from files."""
    return int(Path("/proc/self/io").read_text().split()[1])


def test_a_huge_torn_line_is_read_once_and_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(ev.encode(ev.Note("one"), 0, 1.0))
    with path.open("ab") as file:
        file.truncate(200 << 20)  # a hole: zeros, and no newline
    reader = EventReader(path)
    tracemalloc.start()
    assert [r.seq for r in reader.read()] == [0]
    assert reader.read() == []
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 50 << 20
    before = bytes_read()
    for _ in range(20):
        assert reader.read() == [] and reader.at_end
    assert bytes_read() - before < 1 << 20
    with path.open("ab") as file:
        file.write(b"\n" + ev.encode(ev.Note("after"), 1, 2.0))
    before = bytes_read()
    assert [r.event for r in reader.read()] == [ev.Note("after")]
    assert bytes_read() - before < 1 << 20
    assert (reader.bad_lines, reader.first_bad) == (1, "events.jsonl: line 2: longer than 8 MiB")


def test_a_writer_cuts_a_huge_torn_line_off_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(ev.encode(ev.Note("one"), 0, 1.0) + b"no event\n")
    whole = path.stat().st_size
    with path.open("ab") as file:
        file.truncate(200 << 20)
    before = bytes_read()
    tracemalloc.start()
    writer = EventWriter(path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (writer.seq, path.stat().st_size) == (1, whole)
    assert peak_bytes < 1 << 20 and bytes_read() - before < 210 << 20
    writer.close()


def test_a_torn_line_that_grew_long_and_was_cut_off_costs_a_reader_no_event(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"{" * (ev.LINE_MOST_BYTES + 10))
    reader = EventReader(path)
    assert reader.read() == []
    path.write_bytes(ev.encode(ev.Note("one"), 0, 1.0))
    assert [r.seq for r in reader.read()] == [0] and reader.bad_lines == 0


def test_a_file_of_more_than_a_gigabyte_opens_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with path.open("wb") as file:
        file.truncate(1 << 30)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + ev.encode(ev.Note("last"), 7, 1.0))
    before = bytes_read()
    assert [r.seq for r in read_last(path)] == [7]
    assert bytes_read() - before < 1 << 20


def test_a_bare_nan_of_an_older_line_is_read_as_the_number_it_is(tmp_path: Path) -> None:
    line = b'{"seq":0,"time":1,"kind":"step","step":1,"total":2,"epoch":0.5,"loss":NaN,"learning_rate":0.1}'
    record = ev.decode(line)
    assert record is not None and isinstance(record.event, ev.Step) and math.isnan(record.event.loss)


@pytest.mark.parametrize("kind", [b"step", b"telepathy", b"note"])
def test_a_line_nested_too_deeply_is_a_bad_one(kind: bytes) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        ev.decode(b'{"seq":0,"time":1,"kind":"' + kind + b'","x":' + b"[" * 100_000)
