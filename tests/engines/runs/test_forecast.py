from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from engines.runs import events as ev
from engines.runs.folder import RunFolder
from engines.runs.forecast import Forecast, PhaseCost, earlier_costs, phase_costs
from engines.runs.home import Home
from engines.runs.scores import Scores

EPOCHS, STEPS_PER_EPOCH = 3, 20
DOCUMENT = {
    "engine": "finetune_loop",
    "experiment": "encoders/loop",
    "data": {"validation": 100, "test": 200},
    "training": {"epochs": EPOCHS},
}


def story(step_s: float = 1.0, first: int = 0, setup_s: float = 10.0) -> Iterator[tuple[float, ev.Event]]:
    """A run of three epochs: seconds since its start, and what it says then."""
    at, total = 0.0, EPOCHS * STEPS_PER_EPOCH
    yield at, ev.Started("cpu", "", {}, 0)
    yield at, ev.Phase("load")
    at += setup_s
    if first:
        yield at, ev.Resumed(first)
    yield at, ev.Phase("train", total, "steps")
    for step in range(first + 1, total + 1):
        at += step_s
        yield at, ev.Step(step, total, step / STEPS_PER_EPOCH, 0.5, 1e-4)
        if step % STEPS_PER_EPOCH == 0:
            yield at, ev.Phase("validate", 100, "texts")
            for done in (25, 50, 75, 100):
                at += 1.0
                yield at, ev.Progress("validate", done, 100)
            if step < total:
                yield at, ev.Phase("train", total, "steps")
    yield at, ev.Phase("save")
    at += 1.0
    yield at, ev.Phase("test", 200, "texts")
    for done in range(20, 201, 20):
        at += 0.8
        yield at, ev.Progress("test", done, 200)
    yield at, ev.Finished(split="test", scores=Scores(accuracy=0.9))


def said(forecast: Forecast, events: Iterator[tuple[float, ev.Event]]) -> list[tuple[float, ev.Event, Any, Any]]:
    """Of each event: when it came, what it was, and what was forecast with it."""
    told = []
    for seq, (at, event) in enumerate(events):
        forecast.apply(ev.Record(seq, 1000.0 + at, event, {}))
        told.append((at, event, forecast.left_s, forecast.share))
    return told


END_S = 10 + 60 + 3 * 4 + 1 + 8
COSTS = {
    "load": PhaseCost(1, 10.0, 1, 1),
    "train": PhaseCost(3, 60.0, 2, 6),
    "validate": PhaseCost(3, 12.0, 3, 7),
    "save": PhaseCost(1, 1.0, 8, 8),
    "test": PhaseCost(1, 8.0, 9, 9),
}


def test_time_to_go_is_that_of_the_run_whatever_phase_it_is_in() -> None:
    told = said(Forecast(DOCUMENT), story())
    assert all(left is None for at, _, left, _ in told if at < 11), "nothing is known before the first step"
    for at, _, left, share in told:
        if at >= 11:
            allowed_s = 16 if at < 31 else 1.5  # the cost of validations and test is known from the first one on
            assert left == pytest.approx(END_S - at, abs=allowed_s)
            assert share == pytest.approx(at / END_S, abs=allowed_s / END_S)


def test_neither_share_nor_time_to_go_jumps_where_a_phase_ends() -> None:
    told = [(at, left, share) for at, _, left, share in said(Forecast(DOCUMENT), story()) if at > 34]
    assert len(told) > 60
    for (at, left, share), (later, left_then, share_then) in pairwise(told):
        assert share_then >= share - 0.001 and abs((left - left_then) - (later - at)) < 1.1


def test_an_earlier_run_tells_the_cost_of_phases_that_are_to_come() -> None:
    forecast = Forecast(DOCUMENT)
    forecast.learn(COSTS)
    for at, _, left, share in said(forecast, story())[1:]:
        assert left == pytest.approx(END_S - at, abs=1.0) and share == pytest.approx(at / END_S, abs=0.02)


def test_a_phase_that_an_earlier_run_needed_and_this_one_does_not_is_not_waited_for() -> None:
    forecast = Forecast(DOCUMENT)
    forecast.learn({"download": PhaseCost(1, 900.0, 0, 0), **COSTS})
    for at, _, left, _ in said(forecast, story())[1:]:
        assert left == pytest.approx(END_S - at, abs=1.0)


def test_the_pace_follows_a_machine_that_has_become_slower_smoothly() -> None:
    forecast = Forecast({"training": {"epochs": 1}, "data": {"validation": 0}})
    events: list[tuple[float, ev.Event]] = [
        (0.0, ev.Started("cpu", "", {}, 0)),
        (0.0, ev.Phase("train", 1000, "steps")),
    ]
    at = 0.0
    for step in range(1, 501):
        at += 1.0 if step <= 300 else 2.0
        events.append((at, ev.Step(step, 1000, step / 1000, 0.5, 1e-4)))
    told = said(forecast, iter(events))
    left = {event.step: left for _, event, left, _ in told if isinstance(event, ev.Step)}
    assert left[300] == pytest.approx(700 + 150, abs=1) and left[500] == pytest.approx(2 * (500 + 150), abs=5)
    assert all(abs(left[step + 1] - left[step]) < 45 for step in range(1, 500)), "one slow step is no new pace"


def test_a_resumed_run_counts_the_steps_of_its_earlier_worker_as_done() -> None:
    told = said(Forecast(DOCUMENT), story(first=40))
    at, _, left, share = next(one for one in told if isinstance(one[1], ev.Step))
    assert at == 11 and left == pytest.approx(19 + 4 + 1 + 8, abs=10) and share > 0.5


def test_a_run_launched_again_expects_what_its_checkpoint_leaves_to_train() -> None:
    forecast = Forecast(DOCUMENT)
    forecast.learn(COSTS)
    first = [entry for entry in story() if entry[0] < 52]
    said(forecast, iter([*first, (52.0, ev.Checkpoint(36, "c", 1)), (52.0, ev.Stopped())]))
    left = [left for _, event, left, _ in said(forecast, story(first=36)) if isinstance(event, ev.Phase)]
    assert left[0] == pytest.approx(10 + 24 + 3 * 4 + 1 + 8, abs=1), "while it loads, before it says where it goes on"
    assert left[1] == pytest.approx(24 + 3 * 4 + 1 + 8, abs=1)


def test_what_comes_after_a_phase_is_not_guessed_for_a_run_that_trains_in_no_steps() -> None:
    events: list[tuple[float, ev.Event]] = [
        (0.0, ev.Started("cpu", "", {}, 0)),
        (0.0, ev.Phase("features", 100, "texts")),
        (5.0, ev.Progress("features", 50, 100)),
        (10.0, ev.Phase("test", 100, "texts")),
        (14.0, ev.Progress("test", 40, 100)),
    ]
    told = said(Forecast({"data": {"test": 100}}), iter(events))
    assert [left for _, _, left, _ in told] == [None, None, None, None, pytest.approx(6.0)]


def _written(home: Home, device: str = "cpu", last: int | None = None, **more: Any) -> RunFolder:
    folder = RunFolder.create(home, {**DOCUMENT, **more})
    lines = [ev.encode(event, seq, 1000.0 + at) for seq, (at, event) in enumerate(story())]
    lines[0] = ev.encode(ev.Started(device, "", {}, 0), 0, 1000.0)
    folder.events.write_bytes(b"".join(lines[:last]))
    return folder


def test_costs_are_learnt_from_the_newest_finished_run_of_the_same_settings_and_device(home: Home) -> None:
    new = RunFolder.create(home, DOCUMENT)
    assert earlier_costs(new, DOCUMENT, "cpu") == {}
    for other in ({"training": {"epochs": 9}}, {"experiment": "encoders/loop-2"}, {"last": -1}, {"device": "GPU-1"}):
        _written(home, **other)
    assert earlier_costs(new, DOCUMENT, "cpu") == {}, "none of them is like it"
    like = _written(home, seed=7)
    costs = earlier_costs(new, DOCUMENT, "cpu")
    assert costs == phase_costs(like.events, "cpu")
    assert {name: (cost.visits, round(cost.seconds, 6)) for name, cost in costs.items()} == {
        name: (cost.visits, cost.seconds) for name, cost in COSTS.items()
    }
