from pathlib import Path

import pytest

from engines.runs import events as ev
from engines.runs.event_files import read_all
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.scores import Scores
from engines.runs.summary import open_summary
from labtui.console.views import RunView
from labtui.console.widgets.run_panel import summary_text, where
from tests.labtui.fabric import finished, make_run, started, steps


def told(folder: RunFolder) -> tuple[str, str]:
    """What the title and the page say of a run."""
    summary = open_summary(folder)
    summary.apply(read_all(folder.events))
    view = RunView.of(summary.settle())
    return "  ".join(where(view)), summary_text(view, 100).plain


def test_a_matrix_that_is_of_one_repeat_says_so_under_the_mean_of_all(home: Home) -> None:
    _, page = told(make_run(home, *started(), finished(scores=Scores(accuracy=0.9, repeats=[0.85, 0.91, 0.94]))))
    assert (
        page.index("accuracy          0.900") < page.index("repeat 1 of 3, accuracy 0.850:") < page.index("true, ans")
    )
    _, page = told(make_run(home, *started(), finished(0.9)))
    assert "repeat" not in page


def test_a_run_stopped_while_it_waited_took_no_time(home: Home) -> None:
    title, page = told(make_run(home, ev.Queued(["cpu"], 1), ev.Stopped(seconds=0.0)))
    assert "never had its turn" in title and "never had its turn" in page and "took" not in title + page
    title, page = told(make_run(home, *started(), ev.Stopped(seconds=7.0)))
    assert "took 0:07" in title and "took 0:07" in page


@pytest.mark.parametrize("end", [[ev.Stopped()], [ev.Failed("ValueError", "no such column")], []])
def test_what_a_resume_does_is_said_as_it_is(home: Home, end: list[ev.Event]) -> None:
    _, page = told(make_run(home, *started(), *steps(1, 8), *end))
    assert "begins anew: it has no checkpoint" in page
    _, page = told(make_run(home, *started(), *steps(1, 8), ev.Checkpoint(5, str(Path("c")), 1), *end))
    assert "goes on from step 5" in page and "anew" not in page
