import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engines.runs import events as ev
from engines.runs.home import Home
from labtui.console.curves import Curves
from labtui.console.feed import CHUNK_BYTES, Feed
from labtui.console.views import ExperimentView, LogLine, RunView, log_lines
from tests.labtui.fabric import append, finished, living, make_run, started, steps, validated
from tests.support import wait_until


class Reader:
    """Collects mail as the app does, and keeps what it said."""

    def __init__(self, home: Home) -> None:
        self.names: list[str] = []
        self.runs: dict[str, RunView] = {}
        self.experiments: list[ExperimentView] = []
        self.loss: dict[str, list[float]] = {}
        self.lines: dict[str, list[LogLine]] = {}
        self.errors: list[Exception] = []
        self.shown: list[RunView] = []  # every state of every run that was handed out, in its order
        self.voided: list[str] = []  # runs of which what was shown became void
        self.told = threading.Semaphore(0)
        self.feed = Feed(home, self.told.release, self.errors.append)

    def collect(self) -> None:
        if not self.told.acquire(timeout=0.2):
            return
        mail = self.feed.collect()
        self.names = mail.names if mail.names is not None else self.names
        self.runs.update(mail.runs)
        self.shown += [*mail.runs.values(), *(live.run for live in mail.live.values())]
        self.voided += [name for name, live in mail.live.items() if live.points_anew or live.lines_anew]
        self.experiments = mail.experiments if mail.experiments is not None else self.experiments
        for name, live in mail.live.items():
            self.loss[name] = [] if live.points_anew else self.loss[name]
            self.loss[name] += live.points.get("loss", ([], []))[0]
            self.lines[name] = [] if live.lines_anew else self.lines[name]
            self.lines[name] += live.lines

    def until(self, condition: Callable[[], object]) -> None:
        def met() -> object:
            self.collect()
            return condition()

        wait_until(met)


@pytest.fixture
def reader(home: Home) -> Iterator[Reader]:
    found = Reader(home)
    yield found
    found.feed.stop()
    assert not found.errors


def test_every_run_is_listed_newest_first_with_its_state(home: Home, reader: Reader) -> None:
    runs = {
        "finished": make_run(home, *started(), finished(0.91)),
        "failed": make_run(home, *started(), ev.Failed("ValueError", "no such column")),
        "stopped": make_run(home, *started(), ev.Stopped()),
        "lost": make_run(home, *started(), *steps(1, 3)),
        "running": make_run(home, *started(), *steps(1, 25)),
        "queued": make_run(home, ev.Queued(["cpu"], 2)),
    }
    with living(runs["running"]), living(runs["queued"]):
        reader.feed.start()
        reader.until(lambda: all(run.name in reader.runs and reader.runs[run.name].state for run in runs.values()))
    assert {state: reader.runs[run.name].state for state, run in runs.items()} == {state: state for state in runs}
    assert reader.names == [run.name for run in reversed(runs.values())]
    assert reader.runs[runs["finished"].name].accuracy == 0.91
    running = reader.runs[runs["running"].name]
    assert (running.done, running.total) == (25, 100)
    assert reader.runs[runs["queued"].name].ahead == 2


def test_many_runs_are_named_before_any_is_read(home: Home, reader: Reader) -> None:
    made = [make_run(home, finished()) for _ in range(60)]
    reader.feed.start()
    reader.until(lambda: reader.names)
    assert len(reader.names) == 60
    assert {run.short for run in reader.runs.values()} == {run.name[-4:] for run in made}
    reader.until(lambda: all(run.state == "finished" for run in reader.runs.values()))


def test_a_run_that_appears_and_one_that_goes_are_noticed(home: Home, reader: Reader) -> None:
    first = make_run(home, finished())
    reader.feed.start()
    reader.until(lambda: reader.names == [first.name])
    second = make_run(home, finished(), experiment="other")
    reader.until(lambda: set(reader.names) == {first.name, second.name})
    shutil.rmtree(first.path)
    reader.until(lambda: reader.names == [second.name])


def test_a_followed_run_brings_each_point_once_as_it_is_written(home: Home, reader: Reader) -> None:
    run = make_run(home, *started(), *steps(1, 3))
    with living(run):
        reader.feed.follow(run.name)
        reader.feed.start()
        reader.until(lambda: reader.loss.get(run.name) == [1, 2, 3])
        append(run, *steps(4, 6))
        reader.until(lambda: reader.loss[run.name] == [1, 2, 3, 4, 5, 6])


def test_a_long_history_arrives_whole_and_in_order(home: Home, reader: Reader) -> None:
    run = make_run(home, *started(), *steps(1, 3000, 3000), finished())
    assert run.events.stat().st_size > 1 << 18  # more than one chunk
    reader.feed.follow(run.name)
    reader.feed.start()
    reader.until(lambda: len(reader.loss.get(run.name, ())) == 3000)
    assert reader.loss[run.name] == list(range(1, 3001))


def test_a_resumed_run_drops_the_steps_it_does_again(home: Home, reader: Reader) -> None:
    run = make_run(home, *started(), *steps(1, 8))
    with living(run):
        reader.feed.follow(run.name)
        reader.feed.start()
        reader.until(lambda: len(reader.loss.get(run.name, ())) == 8)
        append(run, ev.Resumed(5), *steps(6, 7))
        reader.until(lambda: reader.loss[run.name] == [1, 2, 3, 4, 5, 6, 7])


def test_a_worker_that_dies_without_a_word_leaves_a_lost_run_and_the_end_of_its_log(home: Home, reader: Reader) -> None:
    run = make_run(home, *started(), *steps(1, 3))
    run.log.write_text("loading\nSegmentation \x1b[31mfault\n")
    reader.feed.follow(run.name)
    with living(run):
        reader.feed.start()
        reader.until(lambda: reader.runs.get(run.name) and reader.runs[run.name].state == "running")
    reader.until(lambda: reader.runs[run.name].state == "lost" and reader.lines[run.name][-1].level == "error")
    texts = [line.text for line in reader.lines[run.name]]
    assert "Segmentation fault" in texts and "lost" in texts[-1]


def test_a_rescan_notices_a_run_that_was_launched_again(home: Home, reader: Reader) -> None:
    run = make_run(home, *started(), *steps(1, 3), ev.Stopped())
    reader.feed.start()
    reader.until(lambda: reader.runs.get(run.name) and reader.runs[run.name].state == "stopped")
    with living(run):
        append(run, *started(), ev.Resumed(3))
        reader.feed.rescan(run.name)
        reader.until(lambda: reader.runs[run.name].state == "running")


@pytest.mark.parametrize("ended", [True, False])
def test_what_is_shown_stays_when_a_long_run_is_stopped_or_launched_again(
    home: Home, reader: Reader, ended: bool
) -> None:
    run = make_run(home, *started(), *steps(1, 3000, 4000), *([ev.Stopped()] if ended else []))
    assert run.events.stat().st_size > 3 * CHUNK_BYTES
    with contextlib.ExitStack() as worker:
        if not ended:
            worker.enter_context(living(run))
        reader.feed.follow(run.name)
        reader.feed.start()
        reader.until(lambda: len(reader.loss.get(run.name, ())) == 3000)
        reader.until(lambda: reader.runs[run.name].done == 3000 or reader.runs[run.name].state == "stopped")
        reader.shown.clear()
        reader.voided.clear()
        if ended:
            worker.enter_context(living(run))
            append(run, *started(), ev.Resumed(3000), ev.Phase("train", 4000, "steps"))
        reader.feed.rescan(run.name)
        append(run, *steps(3001, 3002, 4000))
        reader.until(lambda: reader.runs[run.name].done == 3002 and len(reader.loss[run.name]) == 3002)
    assert not reader.voided and reader.loss[run.name] == list(range(1, 3003))
    assert {view.state for view in reader.shown} <= {"stopped", "queued", "running"}
    steps_shown = [view.done for view in reader.shown if view.phase == "train"]
    assert steps_shown and min(steps_shown) >= 3000


def test_a_long_history_is_not_played_from_its_start(home: Home, reader: Reader) -> None:
    run = make_run(home, *started(), *steps(1, 3000, 4000))
    with living(run):
        reader.feed.follow(run.name)
        reader.feed.start()
        reader.until(lambda: len(reader.loss.get(run.name, ())) == 3000)
        reader.until(lambda: reader.runs[run.name].progress is not None)
    assert {(view.state, view.done) for view in reader.shown} == {("", 0), ("running", 3000)}


def test_mail_waits_for_an_app_that_does_not_collect(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    apply = Curves.apply

    def apply_and_note(curves: Curves, records: list[ev.Record]) -> None:
        apply(curves, records)
        read.extend(record.event.step for record in records if isinstance(record.event, ev.Step))

    monkeypatch.setattr(Curves, "apply", apply_and_note)
    run = make_run(home, *started(), *steps(1, 3))
    told = []
    feed = Feed(home, lambda: told.append(1), lambda error: None)
    feed.follow(run.name)
    with living(run):
        feed.start()
        wait_until(lambda: told)
        for n in range(4, 8):
            append(run, *steps(n, n))
        wait_until(lambda: 7 in read)
        assert len(told) == 1
        assert list(feed.collect().live[run.name].points["loss"][0]) == [1, 2, 3, 4, 5, 6, 7]
    feed.stop()


def test_a_broken_experiment_says_what_is_wrong_and_hides_no_other(reader: Reader, tmp_path: Path) -> None:
    configs = tmp_path / "configs"
    configs.mkdir()
    (configs / "broken.toml").write_text("engine = [")
    (configs / "typo.toml").write_text('engine = "bag_of_word"')
    (configs / "good.toml").write_text('engine = "bag_of_words"\ntitle = "Mine \\u001b]52;c;QQ==\\u0007[/i]"\n')
    reader.feed.start()
    reader.until(lambda: any(e.error for e in reader.experiments))
    views = {e.name: e for e in reader.experiments}
    assert "not a TOML file" in views["broken"].error
    assert "bag_of_words" in views["typo"].error
    assert views["good"].title == "Mine [/i]" and not views["good"].error


def test_foreign_text_is_cleaned_where_it_enters(home: Home, reader: Reader) -> None:
    run = make_run(
        home,
        *started(),
        ev.Note("a \x1b]52;c;QQ==\x07[/i] note\x1b[2J"),
        validated(1),
        experiment="x\x1b[31m[@click=app.quit]y",
    )
    reader.feed.follow(run.name)
    reader.feed.start()
    reader.until(lambda: reader.runs.get(run.name) and reader.runs[run.name].state and reader.lines.get(run.name))
    assert reader.runs[run.name].experiment == "x[@click=app.quit]y"
    assert "a [/i] note" in [line.text for line in reader.lines[run.name]]


def test_a_failure_is_told_with_the_end_of_its_traceback_and_the_hint() -> None:
    trace = "".join(f"line {n}\n" for n in range(50))
    failed = ev.Failed("OutOfMemoryError", "no memory", trace, "lower training.batch_size")
    lines = log_lines(ev.Record(0, 0.0, failed, {}))
    assert [line.text for line in lines[-3:]] == [
        "line 49",
        "failed: OutOfMemoryError: no memory",
        "hint: lower training.batch_size",
    ]
    assert lines[0].text == "line 38"
