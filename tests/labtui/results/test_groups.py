from collections.abc import Callable
from dataclasses import replace
from statistics import stdev

import pytest

from engines.answers.variant import Variant
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.study.values import Spread
from labtui.results import groups
from labtui.results.columns import sd_text, varied_text
from labtui.results.groups import gather, lines
from labtui.results.rows import ResultRow, collect_rows, name_of, published_rows
from tests.labtui.measures import row, run_measures, spread

Finished = Callable[..., RunFolder]
GOOD, FAIR, POOR = [[45, 5, 0], [5, 45, 0]], [[40, 10, 0], [10, 40, 0]], [[30, 15, 5], [20, 30, 0]]


def tree(home: Home) -> list[ResultRow]:
    return gather(collect_rows(home))


def test_runs_that_differ_in_seed_and_title_alone_are_one_group(home: Home, finished: Finished) -> None:
    runs = [finished("a", GOOD, seed=1), finished("a", FAIR, seed=2, settings={"title": "other"})]
    older, newest = (run.name for run in runs)
    (group,) = tree(home)
    assert (group.level, group.n, group.varied, group.run) == ("group", 2, "seed", newest)
    assert [child.run for child in group.children] == [newest, older]
    assert group.accuracy == pytest.approx(0.85) and group.sd == pytest.approx(stdev([0.9, 0.8]))
    assert (group.items, group.interval) == (100, None) and group.recall["negative"] == pytest.approx(0.85)
    assert group.confusion == ((85, 15, 0), (15, 85, 0)) and group.invalid_share == 0
    assert groups.answers_of(group) == row(newest)
    assert "newest of 2 runs" in groups.answers_name(group)
    assert groups.executions_of(group) == [row(run.run) for run in group.children]
    assert groups.executions_name(group).endswith(" (2 runs)")


@pytest.mark.parametrize(
    "change",
    [
        {"experiment": "b"},
        {"engine": "other"},
        {"data": {"train": 7}},
        {"training": {"epochs": 2}},
    ],
)
def test_any_other_setting_makes_another_group(home: Home, finished: Finished, change: dict[str, object]) -> None:
    settings = {"data": {"train": 6}, "training": {"epochs": 1}}
    finished("a", GOOD, settings=settings)
    finished("a", GOOD, settings=settings | change)
    assert [(top.level, top.n, top.children) for top in tree(home)] == [("run", 1, ())] * 2


def test_settings_that_a_run_had_to_change_itself_make_no_other_group(home: Home, finished: Finished) -> None:
    finished("a", GOOD, seed=1)
    finished("a", GOOD, seed=2).adjustments.write_text('{"training.batch_size": 8}')
    assert [top.n for top in tree(home)] == [2]
    finished("a", GOOD, seed=3, settings={"data": {"seed": 1}})
    assert sorted(top.n for top in tree(home)) == [1, 2], "another split holds other items"


def test_the_peak_of_a_group_is_never_one_of_another_kind_of_memory(home: Home, finished: Finished) -> None:
    finished("a", GOOD, seed=1)
    finished("a", GOOD, seed=2)
    newest, older = collect_rows(home)
    rows = [
        replace(newest, memory_peak_bytes=5, memory_on_host=False),
        replace(older, memory_peak_bytes=9, memory_on_host=True),
    ]
    (group,), (turned,) = gather(rows), gather(rows[::-1])
    assert [(g.memory_peak_bytes, g.memory_on_host) for g in (group, turned)] == [(5, False), (9, True)]


def test_the_peak_of_a_group_is_the_highest_of_its_runs(home: Home, finished: Finished) -> None:
    for seed in (1, 2, 3):
        finished("a", GOOD, seed=seed)
    rows = [replace(row, memory_peak_bytes=peak) for row, peak in zip(collect_rows(home), (5, 9, 7), strict=True)]
    (group,) = gather(rows)
    assert group.memory_peak_bytes == 9, "what a device must hold"


def test_the_same_seed_again_is_said_in_words_and_not_as_a_deviation_of_zero(home: Home, finished: Finished) -> None:
    for _ in range(2):
        finished("a", GOOD)
    (group,) = tree(home)
    assert group.varied == "nothing: same seed" and group.sd == 0
    assert sd_text(group) == "–" and varied_text(group) == "nothing: same seed"


def test_a_run_with_repeats_is_a_row_with_its_repeats_under_it(home: Home, finished: Finished) -> None:
    run = finished("a", GOOD, repeats=[GOOD, FAIR, POOR], varied="label_words")
    (top,) = tree(home)
    assert (top.level, top.key, top.n, top.varied) == ("run", run.name, 3, "label words")
    assert top.accuracies == (0.9, 0.8, 0.6) and top.sd == pytest.approx(stdev([0.9, 0.8, 0.6]))
    assert (top.items, top.invalid, top.interval) == (100, 5, None), "of the mean there is no Wilson interval"
    assert top.invalid_share == pytest.approx(5 / 300) and top.recall["positive"] == pytest.approx(115 / 150)
    third = top.children[2]
    assert (third.accuracy, third.n, third.invalid, third.value) == (0.6, 1, 5, "rows 2")
    assert third.interval is not None and third.training_seconds is None and third.memory_peak_bytes is None
    assert groups.answers_of(top) == row(run.name) and groups.answers_name(top).endswith(" repeat 1")
    assert groups.executions_of(top) == [row(run.name, repeat=n) for n in range(3)]
    assert groups.executions_name(top).endswith(" (3 repeats)")
    assert groups.answers_of(third) == row(run.name, repeat=2)


def test_repeats_are_found_however_long_the_events_after_them_are(home: Home, finished: Finished) -> None:
    labels = [f"{'long ' * 300}{n}" for n in range(9)]
    table = [[int(a == b) for b in range(10)] for a in range(9)]
    finished("a", table, labels=labels, repeats=[table] * 9)
    assert [child.repeat for child in tree(home)[0].children] == list(range(9))


def test_in_a_group_of_runs_with_repeats_the_runs_are_what_is_counted(home: Home, finished: Finished) -> None:
    finished("a", GOOD, seed=1, repeats=[GOOD, FAIR])
    finished("a", GOOD, seed=2, repeats=[FAIR, FAIR])
    (group,) = tree(home)
    assert group.n == 2 and sorted(group.accuracies) == pytest.approx([0.8, 0.85])
    assert [child.n for child in group.children] == [2, 2]
    assert groups.spread_questions([group]) == {}, "which of a run's answers would agree with the other run's?"
    opened = {group.key, group.children[0].key}
    assert [(line.depth, line.last) for line in lines([group], opened)] == [
        (0, False),
        (1, False),
        (2, False),
        (2, True),
        (1, True),
    ]
    names = [groups.line_name(line, short=True) for line in lines([group], opened)]
    assert names[0] == "a" and names[1].rpartition(" ")[0].endswith(" seed") and names[2] == "repeat 1 rows 0"


def test_the_share_of_invalid_answers_is_of_all_answers_behind_a_group_of_runs_with_repeats(
    home: Home, finished: Finished
) -> None:
    odd = [[90, 5, 5], [10, 90, 0]]
    for seed in (1, 2):
        finished("a", odd, seed=seed, repeats=[odd] * 3)
    (group,) = tree(home)
    assert group.invalid == 30 and group.invalid_share == group.children[0].invalid_share == 5 / 200


def test_a_tuned_model_and_the_one_before_tuning_are_never_one_group(home: Home, finished: Finished) -> None:
    for seed in (1, 2):
        finished("a", GOOD, before=POOR, seed=seed)
    tuned, before = tree(home)
    assert [(top.variant, top.n, top.accuracy) for top in (tuned, before)] == [("", 2, 0.9), (Variant.BEFORE, 2, 0.6)]
    assert tuned.key != before.key
    assert groups.answers_of(before) == row(before.run, Variant.BEFORE)
    assert {rows[0]["variant"] for rows in groups.spread_questions([tuned, before]).values()} == {"", "before"}


def test_the_study_s_three_executions_are_one_row_with_an_untrained_head() -> None:
    tops = gather(published_rows())
    assert len(tops) == 5
    (gemma,) = [top for top in tops if top.n == 3]
    assert gemma.accuracy == pytest.approx(0.5716, abs=5e-5) and gemma.sd == pytest.approx(0.06844, abs=5e-6)
    assert varied_text(gemma) == "head UNTRAINED" and gemma.interval is None
    assert name_of(gemma) == "published: Gemma-2b zero-shot"
    assert groups.answers_of(gemma) is None and groups.spread_questions(tops) == {}


def test_what_the_answers_say_is_filled_in(home: Home, finished: Finished) -> None:
    run = finished("a", GOOD, before=POOR)
    rows = collect_rows(home)
    told, tuning = [("invalid", "too many"), ("items", "few\x1b[31m")], [("loss", "it rose"), ("accuracy", "leak")]
    measured = run_measures(run.name, [GOOD], before=POOR, warnings=told, tuning=tuning)
    tuned, before = gather(rows, {run.name: measured})
    assert not rows[0].measured and tuned.measured and before.measured
    assert (tuned.figure("brier"), tuned.figure("calibration_error"), tuned.estimate_bytes) == (
        0.125,
        0.0625,
        3 * 2**30,
    )
    assert tuned.intervals["macro_f1"] == pytest.approx((0.89, 0.91))
    assert tuned.interval == rows[0].interval and before.accuracy == 0.6
    assert dict(tuned.warnings) == {
        "training_seconds": "it rose",
        "invalid": "too many",
        "items": "few",
        "accuracy": "leak",
    }
    assert dict(before.warnings) == {"invalid": "too many", "items": "few"}, "nothing of the tuning that came after"


def test_repeats_get_the_interval_of_their_mean_and_their_agreement(home: Home, finished: Finished) -> None:
    run = finished("a", GOOD, repeats=[GOOD, FAIR])
    (top,) = gather(collect_rows(home), {run.name: run_measures(run.name, [GOOD, FAIR], varied="exemplars")})
    assert (top.interval, top.kappa, top.all_agree, top.flips) == ((0.71, 0.79), 0.25, 0.5, 50)
    assert (top.figure("brier"), top.intervals, top.measured) == (0.125, {}, True)
    assert all(child.intervals and child.interval != top.interval for child in top.children)


def test_the_agreement_of_runs_is_asked_once_for_each_set_of_runs(home: Home, finished: Finished) -> None:
    names = [finished("a", GOOD, seed=seed).name for seed in (1, 2)]
    (group,) = tree(home)
    ((key, rows),) = groups.spread_questions([group]).items()
    assert rows == [row(name) for name in reversed(names)]
    (known,) = gather(collect_rows(home), spreads={key: spread(rows, [0.9, 0.9])})
    assert known.interval == (0.71, 0.79) and known.varied == "seed" and known.same_items
    assert known.interval_over == "items and repeats"
    without: Spread = {**spread(rows, [0.9, 0.9]), "interval": None, "no_interval": "2 repeats are too few"}
    (told,) = gather(collect_rows(home), spreads={key: without})
    assert told.interval is None and ("interval", "the mean has no interval: 2 repeats are too few") in told.warnings
    finished("a", GOOD, seed=3)
    assert key not in groups.spread_questions(tree(home))


def test_runs_on_other_items_are_no_repeats_and_say_so(home: Home, finished: Finished) -> None:
    finished("a", GOOD, seed=1)
    finished("a", GOOD, seed=2)
    (group,) = tree(home)
    ((key, rows),) = groups.spread_questions([group]).items()
    (known,) = gather(collect_rows(home), spreads={key: spread(rows, [0.9, 0.9], same_items=False)})
    assert (known.interval, known.kappa, known.varied) == (None, None, "seed, items")
    assert dict(known.warnings)["items"] == groups.DIFFERENT_ITEMS
    finished("a", [[9, 1, 0], [1, 9, 0]], seed=3)
    (fewer,) = tree(home)
    assert fewer.items == 0 and dict(fewer.warnings)["items"] == groups.DIFFERENT_ITEMS, "seen without the answers"
    assert groups.spread_questions([fewer]) == {}


def test_a_run_whose_answers_cannot_be_read_says_why(home: Home, finished: Finished) -> None:
    run = finished("a", GOOD)
    (top,) = gather(collect_rows(home), unreadable={run.name: "the file is gone"})
    assert dict(top.warnings) == {"interval": "the file is gone"} and top.accuracy == 0.9


def test_runs_without_settings_are_never_taken_for_alike(home: Home, finished: Finished) -> None:
    for _ in range(2):
        finished("a", GOOD).config.write_text("no settings")
    assert [top.level for top in tree(home)] == ["run", "run"]
