"""Sets of answers to the same items held against each other: tested pairs and their sentences."""

import math
from collections.abc import Sequence
from decimal import Decimal
from itertools import combinations
from typing import TYPE_CHECKING, Any

from engines.answers.columns import Answers
from engines.answers.intervals import paired_difference_interval
from engines.study import statistics
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


def tested_pairs(correct: "NDArray[Any]") -> list[Pair]:
    """Each two rows of `correct` (rows, items) tested; their sentences are for `add_sentences`."""
    pairs: list[Pair] = []
    for a, b in combinations(range(len(correct)), 2):
        both, a_only, b_only, neither = cells = statistics.paired_table(correct[a], correct[b])
        low, high = paired_difference_interval(*cells)
        p = statistics.mcnemar_exact(a_only, b_only)
        pairs.append(
            {
                "a": a,
                "b": b,
                "both_right": both,
                "a_only": a_only,
                "b_only": b_only,
                "both_wrong": neither,
                "difference": share((a_only - b_only) / sum(cells), (low, high)),
                "p": p,
                "p_holm": p,
                "verdict": "",
                "sentence": "",
            }
        )
    for pair, p in zip(pairs, statistics.holm([pair["p"] for pair in pairs]), strict=True):
        pair["p_holm"] = p
        if p < ALPHA:
            pair["verdict"] = "a" if pair["a_only"] > pair["b_only"] else "b"
    return pairs


def add_sentences(pairs: Sequence[Pair], names: Sequence[str], items: int) -> None:
    """Put each pair into a sentence; what could not be seen goes by the pair's own disagreement, at the level that
    Holm's first step asks."""
    these = f"{'this' if items == 1 else 'these'} {counted(items, 'item')}"
    for pair in pairs:
        sides = [(names[pair["a"]], pair["a_only"]), (names[pair["b"]], pair["b_only"])]
        if pair["verdict"] == "b":
            sides.reverse()
        (one, one_only), (other, other_only) = sides
        counts = f"{one} alone right on {one_only:,}, {other} alone on {other_only:,}"
        p = p_words(pair["p_holm"]) + (f" after Holm over {len(pairs)} pairs" if len(pairs) > 1 else "")
        if pair["verdict"]:
            pair["sentence"] = f"{one} is better on {these}: {counts}, {p}"
        elif not one_only + other_only:
            same = "the very same" if pair["both_right"] else "none"
            pair["sentence"] = f"{one} and {other} are right on {same} of {these}"
        else:
            unseen = detectable(items, (one_only + other_only) / items, len(pairs))
            least = (
                f"a difference under {unseen * 100:.1f} points could not be seen reliably"
                if unseen
                else "so few items could not show any difference"
            )
            pair["sentence"] = f"{one} and {other} are not told apart on {these} ({counts}, {p}); {least}"


def detectable(items: int, disagreement: float, pairs: int = 1) -> float | None:
    """The smallest difference that shows when `pairs` are tested; None where none would, or no item sets two apart."""
    if not disagreement:
        return None
    found = statistics.smallest_detectable_difference(items, disagreement, alpha=ALPHA / pairs)
    return found if found < 1 else None


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
