"""What the paired test of a comparison cannot know, in sentences."""

from collections.abc import Sequence

from engines.study.values import Comparison, Pair, RunMeasures
from labtui import format

FEW_AGREE = 0.2  # kappa below which repeats agree hardly more than by chance
RARE_CLASS_AGREE = 0.8  # share of items on which all agree, from which a low kappa is that of a rare class


def beyond_the_test(comparison: Comparison, pair: Pair, runs: Sequence[RunMeasures]) -> list[str]:
    """What the test of a pair cannot know: that an answer comes from weights drawn at random, that both come from one
    model asked again, and how far the repeats of one that stands for several lie apart."""
    of_run = {run["run"]: run for run in runs}
    both = (pair["a"], pair["b"])
    sides = [(comparison["names"][at], comparison["rows"][at]) for at in both]
    sentences = [
        f"{name}: {warning['text']}"
        for name, row in sides
        for warning in of_run[row["run"]]["warnings"]
        if warning["kind"] == "untrained_head"
    ]
    (_, first), (_, second) = sides
    spread = of_run[first["run"]]["spreads"].get(first["variant"])
    if (
        (first["run"], first["variant"]) == (second["run"], second["variant"])
        and pair["about"] == "answers"
        and spread is not None
    ):
        kappa = spread["kappa"]
        doubt = (
            (
                f". They agree hardly more than by chance (kappa {kappa:.2f}), so that neither accuracy is a property "
                "of the model"
            )
            if kappa is not None and kappa < FEW_AGREE and (spread["all_agree"] or 0.0) < RARE_CLASS_AGREE
            else ""
        )
        return [*sentences, f"both are repeats of one run: two lists of answers, not two models{doubt}"]
    for at, (name, row) in zip(both, sides, strict=True):
        spread = of_run[row["run"]]["spreads"].get(row["variant"])
        if spread is not None and comparison["executions"][at] == 1:
            sentences.append(
                f"{name}: one of {len(spread['accuracies'])} repeats, which reach from "
                f"{format.score(spread['lowest'])} to {format.score(spread['highest'])}"
            )
    return sentences
