"""Sets of answers to the same items held against each other: tested pairs and their sentences."""

import math
from collections.abc import Sequence
from decimal import Decimal
from itertools import combinations
from typing import TYPE_CHECKING, Any

from engines.answers.columns import Answers
from engines.answers.intervals import paired_difference_interval
from engines.study import statistics
from engines.study.repeats import compare_groups
from engines.study.values import Pair, share

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALPHA = 0.05


def why_not_comparable(every: Sequence[Answers], names: Sequence[str]) -> tuple[str, int]:
    """Why these answers cannot be compared, empty where they can, and how many items they have in common."""
    if len({answers.test_set for answers in every}) == 1:
        return "", len(every[0].true)
    sets = [dict(zip(answers.hashes.tolist(), answers.true.tolist(), strict=True)) for answers in every]
    common = set(sets[0]).intersection(*sets[1:])
    if all(len(each) == len(common) for each in sets):
        torn = sum(
            len({answers.labels[each[hashed]] for answers, each in zip(every, sets, strict=True)}) > 1
            for hashed in common
        )
        carry = "carries" if torn == 1 else "carry"
        return f"{torn:,} of the {len(common):,} items {carry} different true labels", len(common)
    if strangers := [name for name, answers in zip(names, every, strict=True) if answers.imported_without_texts]:
        return (
            f"{' and '.join(dict.fromkeys(strangers))}: imported without texts, so that columns of one file "
            "compare with each other, not with other runs"
        ), len(common)
    counts = ", ".join(f"{name} {len(each):,}" for name, each in zip(names, sets, strict=True))
    return f"the items differ: {counts}; {len(common):,} are common to all", len(common)


def tested_pairs(sides: "Sequence[NDArray[Any]]") -> list[Pair]:
    """Each two sides tested, on which executions are right, (executions, items), the items in one order; of a run with
    repeats it may be the share of them. Their sentences are for `add_sentences`."""
    pairs = [
        _answers_pair(a, b, sides[a][0], sides[b][0])
        if len(sides[a]) == len(sides[b]) == 1
        else _groups_pair(a, b, sides[a], sides[b])
        for a, b in combinations(range(len(sides)), 2)
    ]
    for pair, p in zip(pairs, statistics.holm([pair["p"] for pair in pairs]), strict=True):
        pair["p_holm"] = p
        if p < ALPHA:
            pair["verdict"] = "a" if pair["difference"]["value"] > 0 else "b"
    return pairs


def _answers_pair(a: int, b: int, right_a: "NDArray[Any]", right_b: "NDArray[Any]") -> Pair:
    both, a_only, b_only, neither = cells = statistics.paired_table(right_a, right_b)
    p = statistics.mcnemar_exact(a_only, b_only)
    return {
        "a": a,
        "b": b,
        "about": "answers",
        "both_right": both,
        "a_only": a_only,
        "b_only": b_only,
        "both_wrong": neither,
        "difference": share((a_only - b_only) / sum(cells), paired_difference_interval(*cells)),
        "p": p,
        "p_holm": p,
        "verdict": "",
        "sentence": "",
    }


def _groups_pair(a: int, b: int, right_a: "NDArray[Any]", right_b: "NDArray[Any]") -> Pair:
    compared = compare_groups(right_a, right_b)
    share_a, share_b = right_a.mean(axis=0), right_b.mean(axis=0)
    return {
        "a": a,
        "b": b,
        "about": compared.about,
        "both_right": int(((share_a == 1) & (share_b == 1)).sum()),
        "a_only": int((share_a > share_b).sum()),
        "b_only": int((share_a < share_b).sum()),
        "both_wrong": int(((share_a == 0) & (share_b == 0)).sum()),
        "difference": share(compared.difference, compared.interval),
        "p": compared.p,
        "p_holm": compared.p,
        "verdict": "",
        "sentence": "",
    }


def add_sentences(pairs: Sequence[Pair], names: Sequence[str], sides: "Sequence[NDArray[Any]]") -> None:
    """Put each pair of `sides` into a sentence; what could not be seen goes by the pair's own disagreement, at the
    level that Holm's first step asks."""
    items = sides[0].shape[1]
    these = f"{'this' if items == 1 else 'these'} {counted(items, 'item')}"
    for pair in pairs:
        p = p_words(pair["p_holm"]) + (f" after Holm over {len(pairs)} pairs" if len(pairs) > 1 else "")
        if pair["about"] == "answers":
            pair["sentence"] = _answers_sentence(pair, names, these, items, p, len(pairs))
        else:
            pair["sentence"] = _groups_sentence(pair, names, these, p, sides)


def _answers_sentence(pair: Pair, names: Sequence[str], these: str, items: int, p: str, pairs: int) -> str:
    sides = [(names[pair["a"]], pair["a_only"]), (names[pair["b"]], pair["b_only"])]
    if pair["verdict"] == "b":
        sides.reverse()
    (one, one_only), (other, other_only) = sides
    counts = f"{one} alone right on {one_only:,}, {other} alone on {other_only:,}"
    if pair["verdict"]:
        return f"{one} is better on {these}: {counts}, {p}{_disagreement(pair)}"
    if not one_only + other_only:
        return f"{one} and {other} are right on {'the very same' if pair['both_right'] else 'none'} of {these}"
    unseen = detectable(items, (one_only + other_only) / items, pairs)
    least = (
        f"a difference under {unseen * 100:.1f} points could not be seen reliably"
        if unseen
        else "so few items could not show any difference"
    )
    return f"{one} and {other} are not told apart on {these} ({counts}, {p}); {least}{_disagreement(pair)}"


def _disagreement(pair: Pair) -> str:
    """Said where the test and the interval of the difference, two formulas, fall on different sides of the border."""
    low, high = pair["difference"]["low"], pair["difference"]["high"]
    if low is None or high is None or (pair["p"] < ALPHA) != (low <= 0 <= high):
        return ""
    holds = "holds" if low <= 0 <= high else "excludes"
    return f"; the interval of the difference, by another formula, {holds} 0: this is close to the border"


def _groups_sentence(pair: Pair, names: Sequence[str], these: str, p: str, sides: "Sequence[NDArray[Any]]") -> str:
    a, b = (pair["b"], pair["a"]) if pair["verdict"] == "b" else (pair["a"], pair["b"])
    told = (
        f"mean accuracy {sides[a].mean():.3f} of {counted(len(sides[a]), 'execution')}, {sides[b].mean():.3f} of "
        f"{len(sides[b]):,}, {p}"
    )
    low, high = pair["difference"]["low"] or 0.0, pair["difference"]["high"] or 0.0
    apart = f"the true difference may be {100 * low:+.1f} to {100 * high:+.1f} points"
    if pair["about"] == "methods":
        if pair["verdict"]:
            return f"{names[a]} is the better method, judged by {these} and by repeats: {told}"
        return f"{names[a]} and {names[b]} are not told apart as methods on {these} ({told}); {apart}"
    runs_alone = "of other seeds or repeats this says nothing"
    if pair["verdict"]:
        return f"these executions of {names[a]} are better on {these} than those of {names[b]}: {told}; {runs_alone}"
    return f"these executions of {names[a]} and {names[b]} are not told apart on {these} ({told}); {apart}"


def detectable(items: int, disagreement: float, pairs: int = 1) -> float | None:
    """The smallest difference that shows when `pairs` are tested; None where none would, or no item sets two apart."""
    if not disagreement:
        return None
    smallest = statistics.smallest_detectable_difference(items, disagreement, alpha=ALPHA / pairs)
    return smallest if smallest < 1 else None


def p_words(p: float) -> str:
    """A p value as people write it: "p = 0.0012"; below 0.00001 the power of ten that it does not reach."""
    if p < 1e-5:
        power = math.ceil(-math.log10(p)) - 1 if p else 300
        return f"p < 1e-{power}"
    written = (f"{p:.{digits}g}" for digits in range(2, 18))
    exact = next(text for text in written if float(text) != ALPHA or p == ALPHA)  # never on the wrong side of it
    return f"p = {Decimal(exact):f}"


def counted(count: int, what: str) -> str:
    """ "1 item", "2,500 items"."""
    return f"{count:,} {what}{'s' * (count != 1)}"
