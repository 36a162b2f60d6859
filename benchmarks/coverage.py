"""How often the intervals hold and the tests err: `python -m benchmarks.coverage TABLE ... [--data-sets 1000]`.

Data sets are drawn from populations whose true figure is known. Tables: macro, mean, groups, paired, clusters; each is
replaced in docs/benchmarks/coverage.md and .json, the others stay. On one core at 1,000 data sets a cell: groups
2 minutes, the others 1.5 or less.
"""

import argparse
import json
import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import harness
from engines.answers.intervals import newcombe_interval, tango_interval, two_sided, wilson_interval
from engines.answers.macro import macro_scores
from engines.study.clusters import clustered_accuracy_interval, clustered_paired_difference
from engines.study.repeats import compare_groups, mean_accuracy
from engines.study.statistics import mcnemar_exact, paired_table

Row = dict[str, Any]
Answers = NDArray[np.bool_]

ALPHA = 0.05
SCORES = ("macro_recall", "macro_precision", "macro_f1")
ACCURACIES = (0.5, 0.7, 0.9, 0.95, 0.99)
STEPS = 20  # true accuracies within one point either side of a cell's
SHARED = {"nothing": 0.0, "half": 0.5, "most": 0.9}  # latent correlation of two repeats' answers to an item
REPEAT_SDS = (0, 0.5, 1, 2, 3, 5, 7)  # points
SEED_SDS = (0, 1, 2, 5)
NODES, _weights = np.polynomial.hermite_e.hermegauss(60)
WEIGHTS = _weights / _weights.sum()


# -- macro scores -------------------------------------------------------------------------------------------


def macro_population(
    classes: int, accuracy: float, rare: bool, uneven: bool, draws: np.random.Generator
) -> NDArray[np.floating]:
    """Shares (classes, classes + 1) of true class and answer. `rare`: one class of two, or a tenth of the classes
    together, has 5 % of the items. `uneven`: classes differ in accuracy, a rare one being harder, and have errors of
    their own. One error in fifty is an invalid answer."""
    few = max(1, classes // 10)
    shares = np.full(classes, 1 / classes)
    if rare:
        shares[:-few], shares[-few:] = 0.95 / (classes - few), 0.05 / few
    of_class, errors = np.full(classes, accuracy), np.ones((classes, classes))
    if uneven:
        logits = math.log(accuracy / (1 - accuracy)) + 0.7 * draws.standard_normal(classes)
        logits[-few:] -= rare
        of_class = 1 / (1 + np.exp(-logits))
        errors = draws.dirichlet(np.full(classes, 0.2), classes) + 1e-4
    np.fill_diagonal(errors, 0)
    wrong = (1 - of_class)[:, None]
    table = np.hstack([0.98 * wrong * errors / errors.sum(axis=1, keepdims=True), 0.02 * wrong])
    np.fill_diagonal(table, of_class)
    joint: NDArray[np.floating] = table * shares[:, None]
    return joint


def true_macro(shares: NDArray[np.floating]) -> dict[str, float]:
    right, true, predicted = shares.diagonal(), shares.sum(axis=1), shares[:, :-1].sum(axis=0)
    per_class = (right / true, right / predicted, 2 * right / (true + predicted))
    return {name: float(values.mean()) for name, values in zip(SCORES, per_class, strict=True)}


def macro_cell(classes: int, items: int, accuracy: float, rare: bool, uneven: bool, data_sets: int) -> Row:
    """Coverage of each score, averaged over true accuracies within a point of `accuracy`, and in how many of the data
    sets an interval is shown."""
    draws = np.random.default_rng([classes, items, round(accuracy * 100), rare, uneven])
    held, shown, outside = dict.fromkeys(SCORES, 0), dict.fromkeys(SCORES, 0), 0
    for step in range(STEPS):
        near = min(accuracy + 0.02 * (step + 0.5) / STEPS - 0.01, 0.9995)
        shares = macro_population(classes, near, rare, uneven, draws)
        truth = true_macro(shares)
        tables = draws.multinomial(items, shares.ravel() / shares.sum(), data_sets // STEPS)
        for table in tables.reshape(-1, classes, classes + 1):
            for name, score in macro_scores(table).items():
                if score.interval and score.value is not None:
                    low, high = score.interval
                    shown[name] += 1
                    held[name] += low <= truth[name] <= high
                    outside += not low <= score.value <= high
    cell: Row = {"classes": classes, "items": items, "accuracy": accuracy, "rare": rare, "uneven": uneven}
    cell |= {name: held[name] / shown[name] if shown[name] else None for name in SCORES}
    return cell | {"shown": shown, "figure outside": outside}


def macro_rows(data_sets: int) -> Iterator[Row]:
    sizes = {2: (100, 300, 1000, 10_000), 20: (200, 500, 1000, 10_000), 77: (500, 1000, 3000, 10_000)}
    for classes, sizes_of in sizes.items():
        for items, accuracy, rare, uneven in product(sizes_of, ACCURACIES, (False, True), (False, True)):
            yield macro_cell(classes, items, accuracy, rare, uneven, data_sets)


def macro_text(rows: list[Row], data_sets: int) -> str:
    often = {name: [r for r in rows if r["shown"][name] >= data_sets / 4] for name in SCORES}
    shown = []
    for classes, rare, items in dict.fromkeys((r["classes"], r["rare"], r["items"]) for r in rows):
        mine = [r for r in rows if (r["classes"], r["rare"], r["items"]) == (classes, rare, items)]
        spans = [_span([r[name] for r in mine if r in often[name]]) for name in SCORES]
        shown.append([classes, "rare class" if rare else "balanced", items, *spans])
    lines = [
        "Lowest to highest coverage over accuracies of 0.5 to 0.99, even and uneven errors; cells where an interval is "
        "shown in a quarter of the data sets or more.",
        harness.table(["classes", "", "items", "macro recall", "macro precision", "macro F1"], shown),
    ]
    for name in SCORES:
        values = np.array([r[name] for r in often[name]])
        lines.append(
            f"{name}: {len(values)} cells, mean {values.mean():.3f}, lowest {values.min():.3f}, highest "
            f"{values.max():.3f}; {int((values < 0.93).sum())} below 0.93, {int((values < 0.90).sum())} below 0.90, "
            f"{int((values > 0.98).sum())} above 0.98."
        )
    lines.append(f"Figures outside their own interval: {sum(r['figure outside'] for r in rows)}.")
    return "\n\n".join(lines)


# -- repeats ------------------------------------------------------------------------------------------------


def answers(accuracies: NDArray[np.floating], shared: float, items: int, draws: np.random.Generator) -> Answers:
    """Right or wrong (repeats, items) for repeats with these true accuracies. Each answer is a normal value below its
    repeat's threshold; `shared` is the correlation that the item gives to the values of two repeats. The answers come
    as counts of each pattern over the repeats."""
    repeats = len(accuracies)
    thresholds = np.array([two_sided(2 * a - 1) if a > 0.5 else -two_sided(1 - 2 * a) for a in accuracies])
    given_item = _normal_cdf((thresholds[:, None] - math.sqrt(shared) * NODES) / math.sqrt(1 - shared))
    chances = WEIGHTS[None]
    for right in given_item:  # pattern number n: repeat r is right where bit r of n is set
        chances = np.concatenate([chances * (1 - right), chances * right])
    chances = chances.sum(axis=1)
    patterns = (np.arange(2**repeats)[:, None] >> np.arange(repeats)) & 1 == 1
    return np.repeat(patterns, draws.multinomial(items, chances / chances.sum()), axis=0).T


def drawn_accuracies(accuracy: float, sd: float, repeats: int, draws: np.random.Generator) -> NDArray[np.floating]:
    """True accuracies of repeats: normal around `accuracy`, cut off alike on both sides where they would leave 0-1."""
    farthest = 0.98 * min(accuracy, 1 - accuracy)
    away = sd * draws.standard_normal(repeats)
    while (outside := np.abs(away) > farthest).any():
        away[outside] = sd * draws.standard_normal(int(outside.sum()))
    return accuracy + away


def mean_cell(shared: str, repeats: int, items: int, sd_points: float, accuracy: float, data_sets: int) -> Row:
    """Coverage of the crossed interval and of the one over items alone, and how much wider the first is on average."""
    draws = np.random.default_rng([round(10 * SHARED[shared]), repeats, items, round(10 * sd_points)])
    held = items_only_held = 0
    widths = []
    for _ in range(data_sets):
        accuracies = drawn_accuracies(accuracy, sd_points / 100, repeats, draws)
        mean = mean_accuracy(answers(accuracies, SHARED[shared], items, draws))
        low, high = mean.crossed or mean.items_only
        held += low <= accuracy <= high
        items_only_held += mean.items_only[0] <= accuracy <= mean.items_only[1]
        widths.append((high - low) / (mean.items_only[1] - mean.items_only[0]))
    return {
        "shared": shared,
        "repeats": repeats,
        "items": items,
        "sd": sd_points,
        "accuracy": accuracy,
        "coverage": held / data_sets,
        "items only": items_only_held / data_sets,
        "width": float(np.mean(widths)),
    }


def mean_rows(data_sets: int) -> Iterator[Row]:
    for cell in product(SHARED, (3, 5, 10), (200, 1000, 10_000), REPEAT_SDS, (0.6, 0.9)):
        yield mean_cell(*cell, data_sets // 2)


def mean_text(rows: list[Row], data_sets: int) -> str:
    shown = []
    for shared, repeats, items in dict.fromkeys((r["shared"], r["repeats"], r["items"]) for r in rows):
        mine = [r for r in rows if (r["shared"], r["repeats"], r["items"]) == (shared, repeats, items)]
        by_sd = {sd: [r for r in mine if r["sd"] == sd] for sd in REPEAT_SDS}
        covered = [f"{np.mean([r['coverage'] for r in of]):.3f}" for of in by_sd.values()]
        shown.append([shared, repeats, items, *covered, f"{np.mean([r['width'] for r in by_sd[0]]):.2f}"])
    cells = np.array([float(c) for row in shown for c in row[3:-1]])
    trained = np.array([float(c) for row in shown if row[0] != "nothing" for c in row[3:-1]])
    three = [row for row in shown if row[:2] == ["nothing", 3]]
    worst = [c for row in three for c in row[3:-1]], [row[-1] for row in three]
    alone = [r["items only"] for r in rows if r["sd"] == 5 and r["items"] == 10_000]
    return "\n\n".join(
        [
            "Coverage of the crossed interval by the standard deviation between repeats in points (half the data sets "
            "at an accuracy of 0.6, half at 0.9), and its width by that over items alone where nothing but chance "
            "varies. Two repeats share nothing, half or most of what makes an item easy or hard (correlations of 0, "
            "0.5 and 0.9 of the normal values behind the answers).",
            harness.table(["shared", "repeats", "items", *(f"sd {sd:g}" for sd in REPEAT_SDS), "width at sd 0"], shown),
            f"All: {cells.min():.3f} to {cells.max():.3f}, {int((cells < 0.92).sum())} of {len(cells)} below 0.92, "
            f"{int((cells > 0.985).sum())} above 0.985. Where repeats share half or most: {trained.min():.3f} to "
            f"{trained.max():.3f}, {int((trained < 0.92).sum())} of {len(trained)} below 0.92. The interval over items "
            f"alone, at sd 5 and 10,000 items: {min(alone):.2f} to {max(alone):.2f}.",
            f"Three repeats that share nothing cannot tell a small variance of their own from none: coverage is "
            f"{min(float(c) for c in worst[0]):.3f} at least and the width {max(map(float, worst[1])):.2f} there.",
        ]
    )


def groups_cell(shared: str, seeds: tuple[int, int], items: int, sds: tuple[float, float], data_sets: int) -> Row:
    """How often two equally good methods are told apart at 0.05: by `compare_groups`, and by the items alone."""
    draws = np.random.default_rng([round(10 * SHARED[shared]), *seeds, items, *(round(10 * sd) for sd in sds)])
    errors = items_only_errors = 0
    for number in range(data_sets):
        accuracy = (0.6, 0.9)[number % 2]
        accuracies = [drawn_accuracies(accuracy, sd / 100, n, draws) for sd, n in zip(sds, seeds, strict=True)]
        right = answers(np.concatenate(accuracies), SHARED[shared], items, draws)
        a, b = right[: seeds[0]], right[seeds[0] :]
        errors += compare_groups(a, b).p < ALPHA
        differences = a.mean(axis=0) - b.mean(axis=0)
        error = differences.std() / math.sqrt(items)
        items_only_errors += bool(error) and abs(differences.mean()) / error > two_sided(1 - ALPHA)
    return {
        "shared": shared,
        "seeds": list(seeds),
        "items": items,
        "sds": list(sds),
        "type I error": errors / data_sets,
        "items only": items_only_errors / data_sets,
    }


def groups_rows(data_sets: int) -> Iterator[Row]:
    for shared, seeds, items in product(SHARED, ((2, 2), (3, 3), (3, 5)), (200, 1000, 10_000)):
        for sds in [*((float(sd), float(sd)) for sd in SEED_SDS), (2.0, 0.0)]:
            yield groups_cell(shared, seeds, items, sds, data_sets)


def groups_text(rows: list[Row], data_sets: int) -> str:
    kinds = list(dict.fromkeys(tuple(r["sds"]) for r in rows))
    shown = []
    for shared, seeds, items in dict.fromkeys((r["shared"], tuple(r["seeds"]), r["items"]) for r in rows):
        mine = [r for r in rows if (r["shared"], tuple(r["seeds"]), r["items"]) == (shared, seeds, items)]
        shown.append(
            [shared, f"{seeds[0]} and {seeds[1]}", items]
            + [f"{r['type I error']:.3f} ({r['items only']:.2f})" for r in sorted(mine, key=_place(kinds))]
        )
    lines = []
    for words, these in (
        ("Where the seeds of both vary alike", [r for r in rows if r["sds"][0] == r["sds"][1]]),
        ("Where those of one alone vary", [r for r in rows if r["sds"][0] != r["sds"][1]]),
    ):
        errors = np.array([r["type I error"] for r in these])
        lines.append(
            f"{words}: {len(errors)} cells, mean {errors.mean():.3f}, highest {errors.max():.3f}, "
            f"{int((errors > 0.06).sum())} above 0.06."
        )
    return "\n\n".join(
        [
            "How often two equally good methods are told apart at p < 0.05, by the standard deviation between seeds "
            "in points; in brackets by a test of the items alone. The last column: only one of the two varies.",
            harness.table(
                ["shared", "seeds", "items", *(f"sd {a:g}" if a == b else f"sd {a:g}, {b:g}" for a, b in kinds)], shown
            ),
            *lines,
        ]
    )


# -- pairs and clusters -------------------------------------------------------------------------------------


def paired_cell(items: int, disagreement: float, difference: float, data_sets: int) -> Row:
    """Coverage and mean width of Tango's and Newcombe's intervals; the better of the two has an accuracy of 0.9."""
    draws = np.random.default_rng([items, round(1000 * disagreement), round(1000 * difference)])
    a_only, b_only = (disagreement + difference) / 2, (disagreement - difference) / 2
    both = max(0.0, min(0.9 - a_only, 1 - disagreement))
    cells = draws.multinomial(items, [both, a_only, b_only, 1 - disagreement - both], data_sets)
    row: Row = {"items": items, "disagreement": disagreement, "difference": difference}
    quantile = two_sided(1 - ALPHA)
    intervals: dict[str, Callable[..., tuple[float, float]]] = {
        "tango": lambda _both, a, b, _neither: tango_interval(a, b, items, quantile),
        "newcombe": lambda both, a, b, neither: newcombe_interval(both, a, b, neither, quantile),
    }
    for name, interval in intervals.items():
        ends = np.array([interval(*table) for table in cells.tolist()])
        row[name] = float(((ends[:, 0] <= difference) & (difference <= ends[:, 1])).mean())
        row[f"{name} width"] = float((ends[:, 1] - ends[:, 0]).mean())
    return row


def paired_rows(data_sets: int) -> Iterator[Row]:
    for items, disagreement, share in product((20, 30, 50, 100, 300, 1000), (0.04, 0.1, 0.3), (0.0, 0.5, 0.8)):
        yield paired_cell(items, disagreement, disagreement * share, data_sets)


def paired_text(rows: list[Row], data_sets: int) -> str:
    header = ["items", "disagreement", "difference", "Tango", "Newcombe", "width, Tango", "width, Newcombe"]
    shown = [
        [f"{r['items']:,}", f"{r['disagreement']:g}", f"{r['difference']:.3g}"]
        + [f"{r[name]:.3f}" for name in ("tango", "newcombe", "tango width", "newcombe width")]
        for r in rows
    ]
    lines = ["Coverage and mean width of the 95 % interval of the difference.", harness.table(header, shown)]
    for words, these in (
        ("From 50 items on", [r for r in rows if r["items"] >= 50]),
        ("Below", [r for r in rows if r["items"] < 50]),
    ):
        parts = []
        for name in ("tango", "newcombe"):
            values = np.array([r[name] for r in these])
            away = np.abs(values - 0.95).mean()
            parts.append(f"{name.title()} {values.min():.3f} to {values.max():.3f}, {away:.3f} from 0.95 on average")
        lines.append(f"{words}: {'; '.join(parts)}.")
    return "\n\n".join(lines)


def clusters_cell(count: int, sizes: str, shared: float, accuracy: float, data_sets: int) -> Row:
    """Coverage of an accuracy and how often two equally good models are told apart, with the clusters and without.
    `sizes`: "ten" each, or "uneven", 1 to 40. `shared` is the latent correlation of two items of a cluster; 1: copies.
    The true accuracy and difference are those of an item drawn from the population, large clusters weighing more."""
    draws = np.random.default_rng([count, sizes == "ten", round(10 * shared), round(100 * accuracy)])
    threshold = two_sided(2 * accuracy - 1) if accuracy > 0.5 else 0.0
    counted = dict.fromkeys(("accuracy", "accuracy, items alone", "error", "error, items alone", "difference"), 0)
    for _ in range(data_sets):
        size = np.full(count, 10) if sizes == "ten" else np.minimum(40, draws.geometric(0.1, count))
        clusters = np.repeat(np.arange(count), size)
        of_cluster = draws.standard_normal((3, count))[:, clusters]
        of_item = draws.standard_normal((3, len(clusters)))
        common = math.sqrt(shared) * of_cluster + math.sqrt(1 - shared) * of_item
        a, b = (math.sqrt(0.7) * common[2] + math.sqrt(0.3) * own < threshold for own in common[:2])
        low, high = clustered_accuracy_interval(a, clusters)
        counted["accuracy"] += low <= accuracy <= high
        low, high = wilson_interval(int(a.sum()), len(a))
        counted["accuracy, items alone"] += low <= accuracy <= high
        difference = clustered_paired_difference(a, b, clusters)
        counted["error"] += difference.p < ALPHA
        counted["difference"] += difference.interval[0] <= 0 <= difference.interval[1]
        _, a_only, b_only, _ = paired_table(a, b)
        counted["error, items alone"] += mcnemar_exact(a_only, b_only) < ALPHA
    shares = {name: int(value) / data_sets for name, value in counted.items()}
    return {"clusters": count, "sizes": sizes, "shared": shared, "true accuracy": accuracy, **shares}


def clusters_rows(data_sets: int) -> Iterator[Row]:
    for cell in product((15, 50, 300), ("ten", "uneven"), (0.0, 0.3, 1.0), (0.6, 0.9)):
        yield clusters_cell(*cell, data_sets)


def clusters_text(rows: list[Row], data_sets: int) -> str:
    columns = {
        "clusters": "clusters",
        "items in each": "sizes",
        "shared": "shared",
        "accuracy": "true accuracy",
        "coverage": "accuracy",
        "Wilson": "accuracy, items alone",
        "coverage of the difference": "difference",
        "type I error": "error",
        "McNemar": "error, items alone",
    }
    shown = [[f"{v:.3g}" if isinstance(v := r[key], float) else v for key in columns.values()] for r in rows]
    return "\n\n".join(
        [
            "Coverage of an accuracy, of a difference of 0, and how often equally good models are told apart at p < "
            "0.05; beside them Wilson's interval and McNemar's test, which take every item as independent. `shared` is "
            "the correlation of the normal values behind two items of a cluster; 1 are copies.",
            harness.table(list(columns), shown),
            f"Coverage of the accuracy {min(r['accuracy'] for r in rows):.3f} to "
            f"{max(r['accuracy'] for r in rows):.3f}, of the difference {min(r['difference'] for r in rows):.3f} to "
            f"{max(r['difference'] for r in rows):.3f}; type I error at most {max(r['error'] for r in rows):.3f}.",
        ]
    )


# -- writing ------------------------------------------------------------------------------------------------

TABLES: dict[str, tuple[str, Callable[[int], Iterator[Row]], Callable[[list[Row], int], str]]] = {
    "macro": ("Macro recall, precision and F1", macro_rows, macro_text),
    "mean": ("The mean accuracy over repeats", mean_rows, mean_text),
    "groups": ("Comparing two groups of runs", groups_rows, groups_text),
    "paired": ("The difference of two runs on the same items", paired_rows, paired_text),
    "clusters": ("Items that belong together", clusters_rows, clusters_text),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", choices=TABLES)
    parser.add_argument("--data-sets", type=int, default=1000)
    arguments = parser.parse_args()
    written = harness.DOCS / "coverage.json"
    tables = json.loads(written.read_text(encoding="utf-8"))["tables"] if written.exists() else {}
    for name in arguments.tables:
        tables[name] = {"data sets": arguments.data_sets, "rows": list(TABLES[name][1](arguments.data_sets))}
    text = []
    for name, (title, _, words) in TABLES.items():
        if table := tables.get(name):
            count = table["data sets"]
            monte_carlo = f"{count:,} data sets a cell; the Monte Carlo error is {_error(0.95, count):.3f} at 0.95."
            text.append(f"## {title}\n\n`python -m benchmarks.coverage {name}`. {monte_carlo}\n\n")
            text[-1] += words(table["rows"], count)
    figures = {"machine": harness.machine(("numpy", "scipy")), "tables": tables}
    harness.write("coverage", "How often the intervals hold and the tests err", figures, "\n\n".join(text))


def _error(share: float, data_sets: int) -> float:
    """The standard error of a share counted over so many data sets."""
    return math.sqrt(share * (1 - share) / data_sets)


def _span(values: list[float]) -> str:
    return f"{min(values):.3f}-{max(values):.3f}" if values else "not shown"


def _place(kinds: list[tuple[float, ...]]) -> Callable[[Row], int]:
    return lambda row: kinds.index(tuple(row["sds"]))


def _normal_cdf(values: NDArray[np.floating]) -> NDArray[np.floating]:
    from scipy.special import ndtr

    shares: NDArray[np.floating] = ndtr(values)
    return shares


if __name__ == "__main__":
    main()
