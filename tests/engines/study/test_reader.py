import csv
import json
import os
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from engines.answers import scoring
from engines.answers.columns import WITHOUT_TEXT
from engines.answers.intervals import wilson_interval
from engines.answers.variant import Variant
from engines.data import items
from engines.errors import UserError
from engines.reporter import Reporter
from engines.runs import events as ev
from engines.runs.event_files import EventWriter
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.scores import Scores
from engines.runs.writing import write_atomic
from engines.study import reader
from engines.study.reader import ResultsReader
from engines.study.statistics import smallest_detectable_difference
from engines.study.values import AnswerSet, Comparison, Item, ItemQuery, Which
from tests.support import known
from tests.support.answered import N, P, answered, item_hash, row, truth, wrong_on

REAL = Path(__file__).parents[4] / "shared" / "data"


def shuffled(items: int, seed: int = 1) -> list[int]:
    return Random(seed).sample(range(items), items)


def without_rows(value: Any) -> Any:
    """A result without the names of its runs."""
    if isinstance(value, dict):
        return {k: without_rows(v) for k, v in value.items() if k not in ("row", "rows", "run")}
    return [without_rows(v) for v in value] if isinstance(value, list | tuple) else value


# -- the study's three executions ---------------------------------------------------------------------------


@pytest.fixture
def executions(home: Home) -> RunFolder:
    """The founding study's three zero-shot executions of Gemma, as a run of three repeats without texts."""
    path = REAL / "gemma_zero_shot_runs.csv"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    columns = [[(N, P)[int(line[name])] for line in lines] for name in ("label", "run1", "run2", "run3")]
    hashes = [f"{WITHOUT_TEXT}{'0' * 64}:{n}" for n in range(len(lines))]
    return answered(
        home,
        columns[0],
        *columns[1:],
        hashes=hashes,
        bare=True,
        varied="head",
        engine="imported",
        reviews=[""] * len(lines),
    )


@pytest.mark.real_data
def test_the_studys_executions_measure_as_the_reference_does(home: Home, executions: RunFolder) -> None:
    measured = ResultsReader(home).measure(executions.name)
    measures, spread = measured["measures"], measured["spreads"][Variant.OWN]
    assert [m["accuracy"]["value"] for m in measures] == pytest.approx([0.4936, 0.6216, 0.5996])
    intervals = [(m["accuracy"]["low"], m["accuracy"]["high"]) for m in measures]
    assert [round(end, 5) for interval in intervals for end in interval if end is not None] == [
        0.47403,
        0.51319,
        0.60242,
        0.64041,
        0.58025,
        0.61864,
    ]
    assert [round(m["figures"]["macro_precision"]["value"], 4) for m in measures] == [0.4819, 0.6232, 0.7105]
    assert [round(m["figures"]["macro_recall"]["value"], 4) for m in measures] == [0.4891, 0.6223, 0.5943]
    assert spread["mean"] == pytest.approx(0.5716) and round(spread["sd"] or 0, 5) == 0.06844
    assert round(spread["kappa"] or 0, 5) == -0.07409 and spread["all_agree"] == 0.342
    assert spread["flips"] == 2500 - 855 and measured["varied"] == "head"
    assert [m["value"] for m in measures] == ["value 0", "value 1", "value 2"]
    assert not any("brier" in m["figures"] for m in measures) and not measures[0]["reliability"]


@pytest.mark.real_data
def test_the_studys_executions_compare_as_the_reference_does(home: Home, executions: RunFolder) -> None:
    asked = ResultsReader(home)
    rows = [row(executions, repeat=n) for n in range(3)]
    first, second, third = asked.compare(rows, ["run1", "run2", "run3"])["pairs"]
    assert [(p["a_only"], p["b_only"]) for p in (first, second, third)] == [(532, 852), (178, 443), (670, 615)]
    assert [f"{p['p']:.3e}" for p in (first, second)] == ["7.120e-18", "5.123e-27"]
    assert round(third["p"], 5) == 0.13193 and third["p_holm"] == third["p"]
    assert first["p_holm"] == pytest.approx(2 * first["p"]) and second["p_holm"] == pytest.approx(3 * second["p"])
    assert [p["verdict"] for p in (first, second, third)] == ["b", "b", ""]
    assert first["sentence"] == (
        "run2 is better on these 2,500 items: run2 alone right on 852, run1 alone on 532, "
        "p < 1e-16 after Holm over 3 pairs"
    )
    assert third["sentence"].startswith(
        "run2 and run3 are not told apart on these 2,500 items (run2 alone right on "
        "670, run3 alone on 615, p = 0.13 after Holm over 3 pairs); "
    )
    repeats = asked.repeats(executions.name, Variant.OWN)
    assert [round(repeats["cohen"][a][b] or 0, 5) for a, b in ((0, 1), (0, 2), (1, 2))] == [-0.04915, 0.06735, 0.03511]


# -- measures -----------------------------------------------------------------------------------------------


def test_measures_are_the_scores_of_the_engines_with_intervals(home: Home) -> None:
    true = truth(200)
    given = wrong_on(true, range(30))
    given[40] = None
    folder = answered(home, true, given, sure={n: 0.6 for n in range(30)})
    measured = ResultsReader(home).measure(folder.name)
    (measures,) = measured["measures"]
    scores = scoring.scores(measures["confusion"], [N, P])
    assert measures["confusion"] == [[84, 15, 1], [15, 85, 0]]
    assert (measures["items"], measures["correct"], measures["invalid"]) == (200, 169, 1)
    assert (measures["accuracy"]["low"], measures["accuracy"]["high"]) == wilson_interval(169, 200)
    assert measures["accuracy_answered"] == scores.accuracy_answered == 169 / 199
    assert measures["recall"][N] == {"value": 0.84, **dict(zip(("low", "high"), wilson_interval(84, 100), strict=True))}
    assert measures["precision"] == scores.precision
    for name in ("macro_precision", "macro_recall", "macro_f1"):
        share = measures["figures"][name]
        assert known(share["low"]) < known(share["value"]) == known(scores.value(name)) < known(share["high"])
    assert measures["figures"]["brier"]["value"] == pytest.approx((169 * 0.01 + 30 * 0.36) / 199, rel=1e-5)
    bins = {round(b["confidence"], 3): (b["items"], b["accuracy"]) for b in measures["reliability"]}
    assert bins == {0.6: (30, 0.0), 0.9: (169, 1.0)}
    assert measures["figures"]["calibration_error"]["value"] == pytest.approx((30 * 0.6 + 169 * 0.1) / 199, rel=1e-5)
    assert (measured["labels"], measured["varied"], measured["spreads"], measured["warnings"]) == ([N, P], "", {}, [])


def test_answers_that_are_all_invalid_are_measured(home: Home) -> None:
    (measures,) = ResultsReader(home).measure(answered(home, truth(120), [None] * 120).name)["measures"]
    assert (measures["correct"], measures["invalid"], measures["accuracy_answered"]) == (0, 120, None)
    assert "brier" not in measures["figures"] and measures["figures"]["macro_f1"]["value"] == 0


def test_a_class_without_items_has_no_recall(home: Home) -> None:
    (measures,) = ResultsReader(home).measure(answered(home, [P] * 4, [P, P, N, P]).name)["measures"]
    assert list(measures["recall"]) == [P] and set(measures["precision"]) == {N, P}


def test_a_tuned_run_has_its_own_answers_first_and_the_original_beside_them(home: Home) -> None:
    true = truth(200)
    folder = answered(home, true, wrong_on(true, range(10)), original=wrong_on(true, range(60)))
    measured = ResultsReader(home).measure(folder.name)
    assert [(m["row"]["variant"], m["correct"]) for m in measured["measures"]] == [("", 190), ("before", 140)]
    assert not measured["spreads"], "a model before and after its tuning are no repeats"
    (pair,) = ResultsReader(home).compare([row(folder), row(folder, Variant.BEFORE)], ["after", "before"])["pairs"]
    assert (pair["a_only"], pair["b_only"], pair["verdict"]) == (50, 0, "a")


def test_repeats_have_a_spread(home: Home) -> None:
    true = truth(200)
    series = [wrong_on(true, range(20)), wrong_on(true, range(10, 30)), wrong_on(true, range(40))]
    measured = ResultsReader(home).measure(answered(home, true, *series).name)
    spread = measured["spreads"][Variant.OWN]
    assert spread["accuracies"] == [0.9, 0.9, 0.8]
    assert (spread["lowest"], spread["highest"]) == (0.8, 0.9) and spread["mean"] == pytest.approx(2.6 / 3)
    assert spread["sd"] == pytest.approx(0.057735, abs=1e-6)
    assert spread["flips"] == 30 and spread["all_agree"] == 0.85 and spread["same_items"]
    assert spread["interval"] and spread["interval"][0] < spread["mean"] < spread["interval"][1]
    assert spread["items_interval"] and spread["interval_over"] == "items and repeats"
    assert spread["interval"][0] < spread["items_interval"][0] < spread["items_interval"][1] < spread["interval"][1]
    assert spread["kappa"] and 0.5 < spread["kappa"] < 1


def test_two_repeats_have_no_interval_over_other_repeats_and_equal_ones_one_over_items(home: Home) -> None:
    true = truth(200)
    two = answered(home, true, wrong_on(true, range(20)), wrong_on(true, range(30)))
    spread = ResultsReader(home).measure(two.name)["spreads"][Variant.OWN]
    assert (spread["interval"], spread["interval_over"]) == (None, "")
    assert spread["no_interval"] == "2 repeats are too few" and spread["items_interval"]
    equal = answered(home, true, *[wrong_on(true, range(20))] * 2)
    spread = ResultsReader(home).measure(equal.name)["spreads"][Variant.OWN]
    assert spread["interval"] == spread["items_interval"] == pytest.approx(wilson_interval(180, 200))
    assert (spread["interval_over"], spread["no_interval"]) == ("items", "")


def test_groups_of_runs_are_compared_as_methods(home: Home) -> None:
    true = truth(400)
    good, bad = ([answered(home, true, wrong_on(true, range(k))) for k in counts] for counts in GROUPS)
    asked = ResultsReader(home)
    executions = [[row(run) for run in group] for group in (good, bad)]
    comparison = asked.compare([group[0] for group in executions], ["A", "B"], executions)
    (pair,) = comparison["pairs"]
    assert (pair["about"], pair["verdict"], comparison["executions"], comparison["detectable"]) == (
        "methods",
        "a",
        [3, 3],
        None,
    )
    assert pair["difference"]["value"] == pytest.approx(120 / 400)
    assert pair["sentence"].startswith(
        "A is the better method, judged by these 400 items and by repeats: mean accuracy 0.950 of 3 executions, "
        "0.650 of 3, p = "
    )
    own, other = comparison["measures"]
    assert own["accuracy"]["value"] == pytest.approx(0.95) and own["figures"]["macro_f1"]["low"] is None
    assert other["accuracy"]["low"] == asked.spread(executions[1])["interval"][0]  # type: ignore[index]
    newest = asked.compare([row(good[0]), row(bad[0])], ["A", "B"])["pairs"][0]
    assert newest["about"] == "answers" and newest["p"] < pair["p"], "two runs are surer than two methods"


GROUPS = (19, 20, 21), (120, 140, 160)


def test_seeds_that_differ_as_much_as_the_methods_leave_no_verdict(home: Home) -> None:
    true = truth(400)
    executions = [
        [row(answered(home, true, wrong_on(true, range(k)))) for k in counts]
        for counts in ((20, 60, 100), (60, 90, 150))
    ]
    firsts = [group[0] for group in executions]
    (pair,) = ResultsReader(home).compare(firsts, ["A", "B"], executions)["pairs"]
    assert pair["verdict"] == "" and pair["sentence"].startswith("A and B are not told apart as methods on these 400")
    assert ResultsReader(home).compare(firsts, ["A", "B"])["pairs"][0]["verdict"] == "a", "the first seeds alone differ"


def test_one_run_against_several_speaks_of_these_executions(home: Home) -> None:
    true = truth(400)
    one = [row(answered(home, true, wrong_on(true, range(20))))]
    several = [row(answered(home, true, wrong_on(true, range(k)))) for k in (120, 140)]
    (pair,) = ResultsReader(home).compare([one[0], several[0]], ["A", "B"], [one, several])["pairs"]
    assert pair["about"] == "runs" and pair["sentence"].startswith(
        "these executions of A are better on these 400 items"
    )
    assert pair["sentence"].endswith("of other seeds or repeats this says nothing")


def test_a_run_with_repeats_counts_once_among_several_runs(home: Home) -> None:
    true = truth(400)
    runs = [answered(home, true, *[wrong_on(true, range(k))] * 3) for k in (20, 40)]
    others = [answered(home, true, wrong_on(true, range(k))) for k in (60, 80)]
    repeated = [{**row(run), "repeat": n} for run in runs for n in range(3)]
    once, single = [row(run) for run in runs], [row(run) for run in others]
    asked = ResultsReader(home)
    nested = asked.compare([once[0], single[0]], ["A", "B"], [repeated, single])["pairs"]  # type: ignore[list-item]
    assert nested[0]["p"] == asked.compare([once[0], single[0]], ["A", "B"], [once, single])["pairs"][0]["p"]


def test_one_set_of_answers_spreads_over_nothing(home: Home) -> None:
    spread = ResultsReader(home).spread([row(answered(home, truth(10), truth(10)))])
    assert (spread["mean"], spread["sd"], spread["interval"], spread["kappa"], spread["flips"]) == (1, *[None] * 4)


def test_runs_of_one_config_spread_over_their_items_whatever_their_order(home: Home) -> None:
    true = truth(100)
    series = [wrong_on(true, range(k)) for k in (10, 20)]
    straight = [row(answered(home, true, s)) for s in series]
    other = answered(home, true, series[1], order=shuffled(100), labels=(P, N))
    crooked = [row(answered(home, true, series[0])), row(other)]
    found, same = ResultsReader(home).spread(straight), ResultsReader(home).spread(crooked)
    assert without_rows(found) == without_rows(same) and found["flips"] == 10


def test_runs_on_other_items_spread_in_accuracy_alone(home: Home) -> None:
    spread = ResultsReader(home).spread([row(answered(home, truth(n), truth(n))) for n in (10, 20)])
    assert spread["mean"] == 1 and spread["sd"] == 0 and not spread["same_items"]
    assert [spread["interval"], spread["kappa"], spread["all_agree"], spread["flips"]] == [None] * 4


def test_a_finished_run_is_measured_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = answered(home, truth(10), truth(10))
    asked = ResultsReader(home)
    first = asked.measure(folder.name)
    monkeypatch.setattr(reader, "measure_answers", lambda *_: pytest.fail("measured again"))
    assert asked.measure(folder.name) is first
    monkeypatch.undo()
    report = Reporter(folder)
    report.finished()
    report.close()
    assert asked.measure(folder.name) is not first, "the events have grown"


# -- what events tell ---------------------------------------------------------------------------------------


def test_validation_after_a_resume_has_no_step_twice(home: Home) -> None:
    folder = answered(home, truth(10), truth(10), validated=[(1, 0.5), (2, 0.4), (3, 0.9)])
    report = Reporter(folder)
    report.started("cpu", 0, "", {})
    report.resumed(20)
    matrix = [[5, 0, 0], [0, 5, 0]]
    report.evaluated("validation", Scores(accuracy=0.75), [N, P], matrix, loss=float("nan"), step=30, epoch=3)
    report.close()
    validations = ResultsReader(home).measure(folder.name)["validation"]
    assert [(v["step"], v["epoch"], v["loss"]) for v in validations] == [(10, 1, 0.5), (20, 2, 0.4), (30, 3, None)]
    assert validations[-1]["accuracy"] == 0.75


def test_validation_of_a_run_that_started_over_is_forgotten(home: Home) -> None:
    folder = answered(home, truth(10), truth(10), validated=[(1, 0.5)])
    report = Reporter(folder)
    report.started("cpu", 0, "", {})
    report.finished()
    report.close()
    assert ResultsReader(home).measure(folder.name)["validation"] == []


def test_the_last_event_of_a_repeat_counts(home: Home) -> None:
    folder = answered(home, truth(10), truth(10), truth(10))
    report = Reporter(folder)
    report.repeat(1, "seed", "seed 7", Scores(), [N, P], [[5, 0, 0], [0, 5, 0]])
    report.close()
    measured = ResultsReader(home).measure(folder.name)
    assert [m["value"] for m in measured["measures"]] == ["value 0", "seed 7"] and measured["varied"] == "seed"


def test_a_single_repeat_varies_nothing(home: Home) -> None:
    folder = answered(home, truth(10), truth(10))
    report = Reporter(folder)
    report.repeat(0, "nothing", "", Scores(), [N, P], [[5, 0, 0], [0, 5, 0]])
    report.close()
    assert ResultsReader(home).measure(folder.name)["varied"] == ""


def test_the_estimate_is_the_one_of_the_run(home: Home) -> None:
    folder = answered(home, truth(10), truth(10))
    assert ResultsReader(home).measure(folder.name)["estimate_bytes"] is None
    write_atomic(folder.estimate, b'{"family": "bert", "device": "cpu", "peak_bytes": 123}')
    assert ResultsReader(home).measure(folder.name)["estimate_bytes"] == 123


# -- comparisons --------------------------------------------------------------------------------------------


def compared(home: Home, *folders: RunFolder) -> Comparison:
    return ResultsReader(home).compare([row(f) for f in folders], [*"ABCDEF"[: len(folders)]])


def test_a_better_model_is_named_with_the_counts_behind_it(home: Home) -> None:
    true = truth(2500)
    a, b = wrong_on(true, range(118)), wrong_on(true, range(1000, 1179))
    comparison = compared(home, answered(home, true, a, reviews=None), answered(home, true, b, reviews=None))
    (pair,) = comparison["pairs"]
    assert pair["sentence"] == ("A is better on these 2,500 items: A alone right on 179, B alone on 118, p = 0.00048")
    assert (pair["both_right"], pair["a_only"], pair["b_only"], pair["both_wrong"]) == (2203, 179, 118, 0)
    assert pair["verdict"] == "a" and pair["p"] == pair["p_holm"]
    difference = pair["difference"]
    assert difference["value"] == 61 / 2500
    assert 0 < (difference["low"] or 0) < 61 / 2500 < (difference["high"] or 0)
    assert comparison["same_items"] and not comparison["reason"] and comparison["items"] == 2500


def test_several_pairs_are_corrected_and_the_better_one_comes_first(home: Home) -> None:
    true = truth(200)
    series = [wrong_on(true, range(30)), wrong_on(true, range(19, 33)), wrong_on(true, range(28, 44))]
    first, second, third = compared(home, *(answered(home, true, s) for s in series))["pairs"]
    assert [(p["a"], p["b"], p["a_only"], p["b_only"]) for p in (first, second, third)] == [
        (0, 1, 3, 19),
        (0, 2, 14, 28),
        (1, 2, 11, 9),
    ]
    assert first["p_holm"] == 3 * first["p"] and second["p_holm"] == 2 * second["p"]
    assert first["sentence"] == (
        "B is better on these 200 items: B alone right on 19, A alone on 3, p = 0.0026 after Holm over 3 pairs"
    )
    assert first["verdict"] == "b" and not second["verdict"] + third["verdict"]
    assert second["p"] < 0.05 < second["p_holm"], "alone it would have been told apart"


def test_models_that_are_not_told_apart_are_told_what_could_not_be_seen(home: Home) -> None:
    true = truth(2500)
    a, b = wrong_on(true, range(9)), wrong_on(true, range(100, 112))
    comparison = compared(home, answered(home, true, a, reviews=None), answered(home, true, b, reviews=None))
    (pair,) = comparison["pairs"]
    assert pair["verdict"] == "" and comparison["detectable"] is not None
    assert pair["sentence"] == (
        "A and B are not told apart on these 2,500 items (A alone right on 12, B alone on 9, p = 0.66); "
        f"a difference under {comparison['detectable'] * 100:.1f} points could not be seen reliably"
    )


def test_models_that_are_right_on_the_same_items_are_said_to_be(home: Home) -> None:
    comparison = compared(home, *(answered(home, truth(100), truth(100)) for _ in range(2)))
    assert comparison["pairs"][0]["sentence"] == "A and B are right on the very same of these 100 items"
    assert comparison["pairs"][0]["p"] == 1 and comparison["detectable"] is None


def test_items_are_put_side_by_side_by_their_hash(home: Home) -> None:
    true = truth(300)
    a, b = wrong_on(true, range(50)), wrong_on(true, range(30, 60))
    straight = compared(home, answered(home, true, a), answered(home, true, b))
    crooked = compared(
        home,
        answered(home, true, a, order=shuffled(300)),
        answered(home, true, b, order=shuffled(300, 2), labels=(P, N)),
    )
    (one,), (other,) = straight["pairs"], crooked["pairs"]
    assert one == other and (one["a_only"], one["b_only"], one["both_wrong"]) == (10, 30, 20)


def test_other_items_give_no_verdict_and_a_reason_with_counts(home: Home) -> None:
    comparison = compared(home, answered(home, truth(100), truth(100)), answered(home, truth(120), truth(120)))
    assert (
        not comparison["same_items"]
        and comparison["pairs"] == []
        and comparison["detectable"] is None
        and comparison["items"] == 100
    )
    assert comparison["reason"] == "the items differ: A 100, B 120; 100 are common to all"
    assert [m["items"] for m in comparison["measures"]] == [100, 120], "the figures of each are shown all the same"


def test_other_labels_give_no_verdict(home: Home) -> None:
    true = truth(100)
    other = wrong_on(true, [1, 2, 3])
    comparison = compared(home, answered(home, true, true), answered(home, [str(t) for t in other], true))
    assert comparison["reason"] == "3 of the 100 items carry different true labels" and not comparison["pairs"]


def test_imports_without_texts_compare_only_among_their_columns(home: Home) -> None:
    true = truth(100)
    hashes = [f"file:{'a' * 64}:{n}" for n in range(100)]
    imported = answered(home, true, true, wrong_on(true, [1]), hashes=hashes, bare=True)
    own = answered(home, true, true)
    asked = ResultsReader(home)
    comparison = asked.compare([row(imported), row(own)], ["gemma", "own"])
    assert comparison["reason"] == (
        "gemma: imported without texts, so that columns of one file compare with each other, not with other runs"
    )
    assert asked.compare([row(imported), row(imported, repeat=1)], ["run1", "run2"])["same_items"]


def test_two_imports_of_one_file_compare_unless_they_took_other_labels(home: Home) -> None:
    true = truth(100)
    hashes = [f"file:{'a' * 64}:{n}" for n in range(100)]
    one, two = (answered(home, true, true, hashes=hashes, bare=True) for _ in range(2))
    assert compared(home, one, two)["same_items"]
    other = answered(home, [str(t) for t in wrong_on(true, [7])], true, hashes=hashes, bare=True)
    assert compared(home, one, other)["reason"] == "1 of the 100 items carries different true labels"


def test_what_could_not_be_seen_goes_by_the_pair_and_the_number_of_pairs(home: Home) -> None:
    true = truth(400)
    runs = [answered(home, true, wrong_on(true, wrong)) for wrong in (range(40), range(3, 43), range(30, 72))]
    comparison = ResultsReader(home).compare([row(run) for run in runs], ["A", "B", "C"])
    unseen = [f"{100 * smallest_detectable_difference(400, apart / 400, alpha=0.05 / 3):.1f}" for apart in (6, 62, 56)]
    assert [pair["a_only"] + pair["b_only"] for pair in comparison["pairs"]] == [6, 62, 56] and len(set(unseen)) == 3
    for pair, points in zip(comparison["pairs"], unseen, strict=True):
        assert pair["sentence"].endswith(f"; a difference under {points} points could not be seen reliably")


def test_models_that_are_right_on_nothing_are_said_to_be(home: Home) -> None:
    comparison = compared(home, *(answered(home, truth(100), [None] * 100) for _ in range(2)))
    assert comparison["pairs"][0]["sentence"] == "A and B are right on none of these 100 items"


def test_runs_with_other_classes_compare_on_the_same_items(home: Home) -> None:
    true = truth(100)
    more = answered(home, true, [*true[:90], *["neutral"] * 10], labels=(N, "neutral", P))
    (pair,) = compared(home, more, answered(home, true, true))["pairs"]
    assert (pair["a_only"], pair["b_only"]) == (0, 10)


def test_a_comparison_takes_two_rows_with_a_name_each(home: Home) -> None:
    only = row(answered(home, truth(10), truth(10)))
    with pytest.raises(UserError, match="name two or more runs to compare"):
        ResultsReader(home).compare([only], ["A"])
    with pytest.raises(UserError, match="give a name to each"):
        ResultsReader(home).compare([only, only], ["A"])


# -- repeats ------------------------------------------------------------------------------------------------


def test_repeats_are_held_against_each_other_and_vote(home: Home) -> None:
    true = truth(100)
    series = [wrong_on(true, range(10)), wrong_on(true, range(5, 15)), [None] * 2 + true[2:]]
    agreement = ResultsReader(home).repeats(answered(home, true, *series).name, Variant.OWN)
    assert agreement["agreement"] == [[1, 0.9, 0.9], [0.9, 1, 0.88], [0.9, 0.88, 1]]
    assert [agreement["cohen"][n][n] for n in range(3)] == [1, 1, 1] and agreement["cohen"][0][1] == agreement["cohen"][
        1
    ][0]
    assert [m["correct"] for m in agreement["measures"]] == [90, 90, 98]
    majority = agreement["majority"]
    assert majority["row"]["repeat"] == -1 and "brier" not in majority["figures"]
    assert (majority["correct"], majority["invalid"]) == (93, 2), "items 5 to 9 are lost, and 0 and 1 are a tie"
    assert agreement["spread"]["flips"] == 15 and agreement["labels"] == [N, P] and agreement["varied"] == "template"


def test_a_run_done_once_has_a_table_of_one(home: Home) -> None:
    agreement = ResultsReader(home).repeats(answered(home, truth(10), truth(10)).name, Variant.OWN)
    assert (
        agreement["agreement"] == [[1.0]]
        and agreement["spread"]["sd"] is None
        and agreement["majority"]["correct"] == 10
    )


# -- items --------------------------------------------------------------------------------------------------


def page(home: Home, rows: list[AnswerSet], which: Which = "all", **more: Any) -> tuple[int, list[Item]]:
    every: dict[str, Any] = {
        "rows": rows,
        "which": which,
        "label": "",
        "fewest_words": 0,
        "most_words": 0,
        "offset": 0,
        "limit": 50,
    }
    query = cast(ItemQuery, every | more)
    found = ResultsReader(home).items(query)
    assert found["offset"] == query["offset"]
    return found["total"], found["items"]


def numbers(items: list[Item]) -> list[int]:
    return [(item["number"] or 0) - 1000 for item in items]


def test_items_come_in_the_order_of_the_source_with_every_rows_answer(home: Home) -> None:
    true = truth(6)
    reviews = [f"  Number {n}\n of   the reviews. " + "word " * (50 * n) for n in range(6)]
    a = answered(home, true, [P, None, N, P, N, P], reviews=reviews, order=[3, 1, 5, 0, 2, 4], written={1: "dunno"})
    b = answered(home, true, true, reviews=reviews, order=[4, 0, 1, 2, 5, 3], labels=(P, N))
    c = answered(home, true, true, reviews=reviews, bare=True)
    total, items = page(home, [row(a), row(b), row(c)])
    assert total == 6 and numbers(items) == [0, 1, 2, 3, 4, 5]
    assert [[answer["tokens_read"] for answer in item["answers"]] for item in items] == [
        [10 + n, 10 + n, None] for n in range(6)
    ]
    assert items[1] == {
        "hash": item_hash(1),
        "number": 1001,
        "label": P,
        "words": 55,
        "start": ("Number 1 of the reviews. " + "word " * 50)[:160],
        "answers": [
            {"predicted": None, "probability": None, "tokens_read": 11, "text": "dunno"},
            {"predicted": P, "probability": pytest.approx(0.9), "tokens_read": 11, "text": None},
            {"predicted": P, "probability": None, "tokens_read": None, "text": None},
        ],
    }
    assert items[0]["answers"][0]["probability"] == pytest.approx(0.9) and len(items[5]["start"]) == 160


def test_wrong_invalid_and_disagreeing_items_are_found(home: Home) -> None:
    true = truth(10)
    first: list[str | None] = [*wrong_on(true, [2, 5])[:8], None, true[9]]
    a, b = answered(home, true, first), answered(home, true, wrong_on(true, [5, 7]))
    rows = [row(a), row(b)]
    assert numbers(page(home, rows, "wrong")[1]) == [2, 5, 8], "an answer that is no label is wrong too"
    assert numbers(page(home, rows, "invalid")[1]) == [8]
    assert numbers(page(home, rows, "disagree")[1]) == [2, 7, 8]
    assert page(home, rows[:1], "disagree") == (0, [])
    assert numbers(page(home, rows, "wrong", label=P)[1]) == [5] and page(home, rows, label="none")[0] == 0


def test_the_most_confident_errors_come_first(home: Home) -> None:
    true = truth(10)
    given = wrong_on(true, [1, 3, 6])
    given[8] = None
    folder = answered(home, true, given, sure={1: 0.7, 3: 0.99, 6: 0.8})
    assert numbers(page(home, [row(folder)], "confident errors")[1]) == [3, 6, 1]
    assert page(home, [row(answered(home, true, given, bare=True))], "confident errors") == (0, [])


def test_items_are_filtered_by_words_and_paged(home: Home) -> None:
    folder = answered(home, truth(20), truth(20), reviews=["word " * (n + 1) for n in range(20)])
    assert numbers(page(home, [row(folder)], fewest_words=4, most_words=6)[1]) == [3, 4, 5]
    total, items = page(home, [row(folder)], fewest_words=11, offset=7, limit=2)
    assert total == 10 and numbers(items) == [17, 18]
    assert numbers(page(home, [row(folder)], offset=18)[1]) == [18, 19]
    assert page(home, [row(folder)], offset=99) == (20, [])


def test_items_of_different_tests_are_not_shown_side_by_side(home: Home) -> None:
    rows = [row(answered(home, truth(n), truth(n))) for n in (10, 20)]
    with pytest.raises(UserError, match="different tests cannot be shown side by side: the items differ"):
        page(home, rows)


def test_a_run_without_its_items_file_still_shows_answers(home: Home) -> None:
    folder = answered(home, truth(4), truth(4), reviews=None)
    total, items = page(home, [row(folder)])
    assert total == 4 and items[0]["number"] is None and (items[0]["words"], items[0]["start"]) == (0, "")
    assert ResultsReader(home).item(folder.name, item_hash(2)) == {
        "hash": item_hash(2),
        "number": None,
        "label": N,
        "text": "",
    }


def test_an_item_has_its_whole_text(home: Home) -> None:
    reviews = [f"Review {n},\nof two lines: ü" for n in range(4)]
    folder = answered(home, truth(4), truth(4), reviews=reviews, order=[2, 0, 3, 1])
    asked = ResultsReader(home)
    assert asked.item(folder.name, item_hash(3)) == {
        "hash": item_hash(3),
        "number": 1003,
        "label": P,
        "text": "Review 3,\nof two lines: ü",
    }
    with pytest.raises(UserError, match="has no item nothing"):
        asked.item(folder.name, "nothing")


def test_runs_on_one_file_of_items_share_its_index(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row(answered(home, truth(10), truth(10))) for _ in range(2)]
    made: list[Any] = []

    def noted(file: Any) -> Any:
        made.append(file)
        return items.index_items(file)

    monkeypatch.setattr(reader, "index_items", noted)
    asked = ResultsReader(home)
    for each in rows:
        asked.items(
            {"rows": [each], "which": "all", "label": "", "fewest_words": 0, "most_words": 0, "offset": 0, "limit": 5}
        )
    assert len(made) == 1


def test_a_torn_line_of_the_items_file_hides_one_text(home: Home) -> None:
    folder = answered(home, truth(4), truth(4))
    lines = folder.items.read_bytes().splitlines(keepends=True)
    folder.items.unlink()
    folder.items.write_bytes(lines[0] + lines[1][:30] + b"\n" + lines[2] + lines[3])
    _, items = page(home, [row(folder)])
    assert sorted(item["start"] for item in items) == ["", "Review number 0.", "Review number 2.", "Review number 3."]


# -- earlier runs -------------------------------------------------------------------------------------------


def test_disagreement_is_the_median_over_pairs_that_are_not_told_apart(home: Home) -> None:
    true = truth(100)
    here: dict[str, Any] = {"data": {"source": "reviews.csv"}, "engine": "ours"}
    for first, last in ((0, 10), (5, 15), (20, 32)):  # by pairs 10, 22 and 22 items apart
        answered(home, true, wrong_on(true, range(first, last)), order=shuffled(100, last), **here)
    answered(home, true, true, **here)  # better than each of them
    answered(home, true, wrong_on(true, range(10)), **here)  # the first one again
    answered(home, true, wrong_on(true, range(1, 9)), data={"source": "other.csv"})
    answered(home, truth(50), wrong_on(truth(50), range(3)), **here)
    answered(home, true, wrong_on(true, range(80, 90)), finish=False, **here)
    assert ResultsReader(home).disagreement("reviews.csv", "ours") == {"share": 0.22, "pairs": 5}
    assert ResultsReader(home).disagreement("reviews.csv", "another") == {"share": None, "pairs": 0}
    assert ResultsReader(home).disagreement("other.csv", "ours") == {"share": None, "pairs": 0}


def test_disagreement_takes_pairs_with_one_run_of_the_engine(home: Home) -> None:
    true = truth(100)
    for engine, wrong in (("a", range(10)), ("a", range(5, 15)), ("b", range(20, 32))):
        answered(home, true, wrong_on(true, wrong), data={"source": "s"}, engine=engine)
    assert ResultsReader(home).disagreement("s", "b") == {"share": 0.22, "pairs": 2}


def test_models_that_know_nothing_are_no_measure_of_disagreement(home: Home) -> None:
    true = truth(100)
    for wrong in (range(42), range(20, 62)):  # 58 % right: as good as always the commonest class
        answered(home, true, wrong_on(true, wrong), data={"source": "s"})
    for wrong in (range(20), range(10, 30)):
        answered(home, true, wrong_on(true, wrong), data={"source": "s"}, scores=Scores(untrained_head=True))
    assert ResultsReader(home).disagreement("s", "bag_of_words") == {"share": None, "pairs": 0}
    for wrong in (range(20), range(10, 30)):
        answered(home, true, wrong_on(true, wrong), data={"source": "s"})
    assert ResultsReader(home).disagreement("s", "bag_of_words") == {"share": 0.2, "pairs": 1}


# -- what cannot be answered --------------------------------------------------------------------------------


def test_unknown_runs_and_rows_are_named(home: Home) -> None:
    folder = answered(home, truth(10), truth(10))
    asked = ResultsReader(home)
    for name in ("nothing", "..", f"../runs/{folder.name}", ""):
        with pytest.raises(UserError, match="`labtui list` shows the runs"):
            asked.measure(name)
    with pytest.raises(UserError, match=f"{folder.name} has no answers of repeat 4"):
        asked.compare([row(folder, repeat=3), row(folder)], ["A", "B"])
    with pytest.raises(UserError, match="has no answers of the model before tuning"):
        asked.repeats(folder.name, Variant.BEFORE)
    with pytest.raises(UserError, match="no answers are chosen"):
        asked.spread([])


def test_every_answer_is_made_of_plain_values(home: Home) -> None:
    true = truth(100)
    folder = answered(home, true, wrong_on(true, range(9)), wrong_on(true, [50]), validated=[(1, 0.5)])
    asked, rows = ResultsReader(home), [row(folder, repeat=n) for n in range(2)]
    query: ItemQuery = {
        "rows": rows,
        "which": "wrong",
        "label": "",
        "fewest_words": 0,
        "most_words": 0,
        "offset": 0,
        "limit": 5,
    }
    found = [
        asked.measure(folder.name),
        asked.spread(rows),
        asked.compare(rows, ["A", "B"]),
        asked.repeats(folder.name, Variant.OWN),
        asked.items(query),
        asked.item(folder.name, item_hash(0)),
        asked.disagreement("quickstart", "prompting"),
    ]
    for answer in found:
        assert json.loads(json.dumps(answer, allow_nan=False)) == json.loads(json.dumps(answer))


def test_a_long_story_of_steps_is_read_past(home: Home) -> None:
    folder = answered(home, truth(100), truth(100), validated=[(1, 0.5)])
    writer = EventWriter(folder.events)
    for step in range(3000):
        writer.write(ev.Step(step, 3000, 1.0, 0.5, 1e-4))
    writer.close()
    os.truncate(folder.events, folder.events.stat().st_size - 5)  # torn
    assert len(ResultsReader(home).measure(folder.name)["validation"]) == 1
