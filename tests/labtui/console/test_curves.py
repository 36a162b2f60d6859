import math

from engines.runs import events as ev
from engines.runs.scores import Scores
from labtui.console.curves import Curves


def record(event: ev.Event, seq: int = 0) -> ev.Record:
    return ev.Record(seq, 0.0, event, {})


def step(n: int, loss: float | None = None) -> ev.Record:
    return record(ev.Step(n, 100, n / 10, 1.0 / n if loss is None else loss, 1e-4, host_memory_bytes=n))


def validation(n: int, accuracy: float) -> ev.Record:
    matrix = [[5, 0, 0], [0, 5, 0]]
    return record(ev.Evaluated("validation", 10, Scores(accuracy=accuracy), ["a", "b"], matrix, 0.5, n, 1.0))


def test_steps_and_validations_become_points_by_step() -> None:
    curves = Curves()
    curves.apply([step(1), step(2), validation(2, 0.75), step(3)])
    assert curves.total == 100
    assert list(curves["loss"].steps) == [1, 2, 3]
    assert list(curves["host_memory_bytes"].values) == [1, 2, 3]
    assert (list(curves["validation_accuracy"].steps), list(curves["validation_accuracy"].values)) == ([2], [0.75])
    assert not curves["grad_norm"].steps


def test_a_test_score_and_a_validation_without_a_step_are_no_points() -> None:
    curves = Curves()
    curves.apply(
        [
            record(ev.Evaluated("test", 10, Scores(accuracy=0.9), [], [], None, 3)),
            record(ev.Evaluated("validation", 10, Scores(accuracy=0.9), [], [])),
        ]
    )
    assert curves.take() == (True, {})


def test_a_loss_that_is_not_a_number_stays_in_the_curve() -> None:
    curves = Curves()
    curves.apply([step(1), step(2, math.nan), step(3)])
    assert [math.isnan(v) for v in curves["loss"].values] == [False, True, False]


def test_take_hands_out_every_point_once() -> None:
    curves = Curves()
    curves.apply([step(1), step(2)])
    anew, points = curves.take()
    assert anew and list(points["loss"][0]) == [1, 2]
    assert curves.take() == (False, {})
    curves.apply([step(3)])
    anew, points = curves.take()
    assert not anew and list(points["loss"][0]) == [3]


def test_resuming_drops_what_lies_above_the_resumed_step_and_hands_out_all_anew() -> None:
    curves = Curves()
    curves.apply([*map(step, range(1, 9)), validation(4, 0.5), validation(8, 0.6)])
    curves.take()
    curves.apply([record(ev.Resumed(5)), step(6, 0.123)])
    anew, points = curves.take()
    assert anew
    assert list(points["loss"][0]) == [1, 2, 3, 4, 5, 6] and points["loss"][1][-1] == 0.123
    assert list(points["validation_accuracy"][0]) == [4]


def test_a_run_started_over_without_a_checkpoint_begins_its_curves_again() -> None:
    curves = Curves()
    started = record(ev.Started("cpu", "", {}))
    curves.apply([started, *map(step, (10, 20, 30)), validation(15, 0.5)])
    curves.take()
    curves.apply([started])
    assert list(curves["loss"].steps) == [10, 20, 30], "it may resume yet"
    curves.apply([step(25)])
    anew, points = curves.take()
    assert anew and list(points["loss"][0]) == [25] and "validation_accuracy" not in points


def test_validating_one_step_twice_keeps_the_later_score() -> None:
    curves = Curves()
    curves.apply([step(4), validation(4, 0.5)])
    curves.take()
    curves.apply([validation(4, 0.7)])
    anew, points = curves.take()
    assert anew and list(points["validation_accuracy"][1]) == [0.7] and list(points["loss"][0]) == [4]


def test_a_step_told_twice_keeps_the_later_value_and_hands_out_all_anew() -> None:
    curves = Curves()
    curves.apply([step(1), step(2, 0.5)])
    curves.take()
    curves.apply([step(2, 0.25)])
    anew, points = curves.take()
    assert anew and list(points["loss"][0]) == [1, 2] and list(points["loss"][1]) == [1.0, 0.25]
