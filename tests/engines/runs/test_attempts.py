from engines.runs import events as ev
from engines.runs.attempts import Attempts, counting_events
from engines.runs.scores import Scores

STARTED = ev.Started("cpu", "", {})
TESTED = ev.Evaluated("test", 10, Scores(), [], [])


def step(n: int) -> ev.Step:
    return ev.Step(n, 100, n / 10, 0.5, 1e-4)


def validation(n: int | None) -> ev.Evaluated:
    return ev.Evaluated("validation", 10, Scores(), [], [], step=n)


def test_what_one_worker_reports_all_counts() -> None:
    events = [STARTED, TESTED, step(1), validation(1), step(2), TESTED, ev.Finished()]
    assert counting_events(events) == events
    attempts = Attempts()
    assert [attempts.repeated_above(event) for event in events] == [None] * len(events)


def test_a_worker_that_resumes_voids_the_steps_above_its_checkpoint() -> None:
    first = [STARTED, step(1), validation(1), ev.Checkpoint(1, "", 0), step(2), validation(2), validation(None)]
    assert counting_events([*first, STARTED, TESTED, ev.Resumed(1), step(2)]) == [
        *first[:4],
        STARTED,
        TESTED,
        ev.Resumed(1),
        step(2),
    ]


def test_a_worker_that_reports_without_resuming_has_started_over() -> None:
    first = [STARTED, step(1), validation(1), ev.Repeat(0, "seed", "1", Scores()), ev.Note("kept as it was said")]
    for anew in (step(1), validation(1), ev.Repeat(0, "seed", "1", Scores()), ev.Finished()):
        assert counting_events([*first, STARTED, anew]) == [STARTED, first[-1], STARTED, anew]


def test_a_worker_that_ended_before_it_got_anywhere_voids_nothing() -> None:
    events = [STARTED, step(1), step(2), STARTED, TESTED, ev.Failed("OSError", "no disk")]
    assert counting_events(events) == events
    resumed = [STARTED, ev.Resumed(1)]
    assert counting_events([*events, *resumed]) == [STARTED, step(1), STARTED, events[-1], *resumed]
