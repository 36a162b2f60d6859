"""Results as files: tables as they are on the screen, the answers of a run item by item, and model cards."""

import csv
import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines.answers import predictions
from engines.answers.columns import WITHOUT_TEXT
from engines.answers.intervals import wilson_interval
from engines.answers.metrics import ACCURACY, scored_by_runs
from engines.answers.predictions import Prediction
from engines.answers.variant import Variant
from engines.data.items import StoredItem, decode_item
from engines.errors import REMEDIES, UserError
from engines.importing import spreadsheets
from engines.models import cards
from engines.runs import events as ev
from engines.runs import writing
from engines.runs.event_files import EventReader, read_last
from engines.runs.folder import RunFolder
from engines.runs.reading import open_regular
from engines.runs.summary import FINISHED, Summary, open_summary
from engines.settings import flatten
from labtui import format
from labtui.results.rows import IMPORTED
from labtui.sanitize import clean, json_text

# -- the answers of a run ---------------------------------------------------------------------------------


@dataclass
class ItemTable:
    """A row per item, in the order of the run: `columns` by name, and which of them are numbers."""

    columns: dict[str, list[Any]] = field(default_factory=dict)
    floats: set[str] = field(default_factory=set)
    integers: set[str] = field(default_factory=set)


def item_table(folder: RunFolder, texts: bool = True) -> ItemTable:
    """Every test item of a run with what each repeat answered.

    Columns: `hash`, `row`, with `texts` the `text` where it is known, `label`, and for every set of answers
    `predicted` (empty: no label), `probability_CLASS`, `tokens_read` and where it was kept the `answer` as written.
    Several repeats end in `_1`, `_2`, ...; the model before tuning in `_before`. `import` reads such a table.
    """
    labels = _ending(folder).labels
    items = _read_items(folder)
    sets: dict[tuple[Variant, int], dict[str, Prediction]] = {}
    for line in _read_predictions(folder):
        sets.setdefault((line.variant, line.repeat), {})[line.hash] = line
    first = next(iter(sets.values()), {})
    hashes = [h for h in items if h in first] if items else list(first)
    table = ItemTable({"hash": hashes})
    if items:
        table.columns["row"] = [items[h].row for h in hashes]
        table.integers.add("row")
        if texts and not any(h.startswith(WITHOUT_TEXT) for h in hashes):
            table.columns["text"] = [items[h].text for h in hashes]
    table.columns["label"] = [first[h].label for h in hashes]
    several = len({repeat for _, repeat in sets}) > 1
    for (variant, repeat), answers in sorted(sets.items()):
        suffix = (f"_{variant}" if variant else "") + (f"_{repeat + 1}" if several else "")
        given = [answers.get(h) or Prediction(h, "") for h in hashes]
        table.columns[f"predicted{suffix}"] = [line.predicted for line in given]
        if any(line.probabilities for line in given):
            for at, label in enumerate(labels):
                name = f"probability_{label}{suffix}"
                table.columns[name] = [_probability(line, at) for line in given]
                table.floats.add(name)
        if any(line.tokens_read is not None for line in given):
            table.columns[f"tokens_read{suffix}"] = [line.tokens_read for line in given]
            table.integers.add(f"tokens_read{suffix}")
        if any(line.text is not None for line in given):
            table.columns[f"answer{suffix}"] = [line.text for line in given]
    return table


def _probability(line: Prediction, at: int) -> float | None:
    """Of one class; None where there is none, or none that a file could hold."""
    return line.probabilities[at] if line.probabilities and math.isfinite(line.probabilities[at]) else None


def items_csv(table: ItemTable, excel: bool = False) -> bytes:
    """Comma-separated, with a header; what is not known is empty.

    With `excel` no text is taken for a formula by a spreadsheet; `import` reads the texts as they were.
    """
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(table.columns)
    rows = zip(*table.columns.values(), strict=True)
    writer.writerows(map(spreadsheets.escaped, row) for row in rows) if excel else writer.writerows(rows)
    return spreadsheets.BOM * excel + output.getvalue().encode("utf-8", "replace")


def items_json(table: ItemTable) -> bytes:
    """An array, one object per item."""
    names = list(table.columns)
    rows = [dict(zip(names, row, strict=True)) for row in zip(*table.columns.values(), strict=True)]
    return (json_text(rows, indent=1) + "\n").encode()


def items_parquet(table: ItemTable) -> bytes:
    """Parquet, compressed; numbers are numbers and what is not known is null."""
    import pyarrow
    from pyarrow import parquet

    kinds = {**dict.fromkeys(table.floats, pyarrow.float64()), **dict.fromkeys(table.integers, pyarrow.int64())}
    arrays = {name: pyarrow.array(values, kinds.get(name, pyarrow.string())) for name, values in table.columns.items()}
    output = io.BytesIO()
    parquet.write_table(pyarrow.table(arrays), output, compression="zstd")
    return output.getvalue()


ITEMS: dict[str, Callable[[ItemTable], bytes]] = {"csv": items_csv, "parquet": items_parquet, "json": items_json}


def _read_items(folder: RunFolder) -> dict[str, StoredItem]:
    """The lines of `items.jsonl` by hash; empty where there is none."""
    try:
        with open_regular(folder.items) as file:
            return {item.hash: item for item in map(decode_item, file)}
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(f"{folder.items} is damaged ({error}); copy it again from where it was made") from None


def _read_predictions(folder: RunFolder) -> Iterator[Prediction]:
    try:
        yield from predictions.read(folder)
    except FileNotFoundError:
        name = folder.predictions.name
        raise UserError(f"{folder.name} holds no {name}; it was not tested, or the file was removed") from None


# -- model cards ------------------------------------------------------------------------------------------


def model_card(folder: RunFolder) -> str:
    """A README.md for the hub: scores as `model-index` metadata, data with hashes, settings and versions."""
    from huggingface_hub import EvalResult, ModelCard, ModelCardData

    end, summary = _ending(folder), open_summary(folder)
    document = summary.document
    model, name = clean(end.model), clean(summary.experiment)
    source = str(document.get("data", {}).get("source") or document.get("imported", {}).get("file", ""))
    on_hub = bool(source) and "/" in source and not source.startswith(("/", ".", "~"))
    shown_source = source if on_hub else Path(source).name
    digest = cards.digest(folder.items)
    arguments = {"items": end.items, "sha256 of the items": digest} if digest else {"items": end.items}
    results = [
        EvalResult(
            task_type="text-classification",
            dataset_type=source.partition(":")[0] if on_hub else "text",
            dataset_name=clean(shown_source) or "test items",
            dataset_split="test",
            dataset_args=arguments,
            metric_type=metric.hub_name or metric.name,
            metric_name=metric.words[0].upper() + metric.words[1:],
            metric_value=float(value),
            metric_args={"average": "macro"} if metric.name.startswith("macro_") else None,
        )
        for metric in scored_by_runs()
        if not metric.of_the_data and (value := end.scores.value(metric.name)) is not None
    ]
    base = str(document.get("model", {}).get("name", ""))
    data = ModelCardData(
        model_name=f"{name} {summary.short}",
        eval_results=results,
        pipeline_tag="text-classification",
        base_model=base if base.count("/") == 1 and not base.startswith(("/", ".", "~")) else None,
        datasets=source.partition(":")[0] if on_hub else None,
        library_name=_library(summary.engine),
        tags=["labtui", *([IMPORTED] if summary.engine == IMPORTED else [])],
    )
    content = "\n".join(_card_lines(folder, summary, end, model, shown_source))
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{content}\n"))


def _library(engine: str) -> str | None:
    """What the hub calls the library that opens the model of such a run."""
    return {
        "qlora": "peft",
        "bag_of_words": "sklearn",
        "finetune_loop": "transformers",
        "finetune_trainer": "transformers",
        "prompting": "transformers",
    }.get(engine)


def _ending(folder: RunFolder) -> ev.Ended:
    tail = read_last(folder.events)
    end = tail[-1].event if tail else None
    if not isinstance(end, ev.Finished):
        raise UserError(f"{folder.name} is not {FINISHED}; only a finished run can be exported")
    if end.split != "test":
        raise UserError(f"{folder.name} has no scores of a test split; there is nothing to export")
    return end


def _card_lines(folder: RunFolder, summary: Summary, end: ev.Ended, model: str, source: str) -> list[str]:
    scores, items = end.scores, end.items
    several = scores.repeats
    lines = [f"# {_cell(summary.experiment)}", ""]
    if summary.engine == IMPORTED:
        lines += [
            f"Predictions that another program made, imported from `{_code(source)}`; none of them was measured here.",
            "",
        ]
    if scores.untrained_head:
        lines += [
            "**Untrained head**: the head that scored the texts was drawn at random; the accuracy says nothing "
            "about the model.",
            "",
        ]
    lines += [
        f"Run `{_code(folder.name)}`, engine `{_code(summary.engine)}`"
        + (f", model {_cell(model)}." if model else "."),
        "",
        "## Scores",
        "",
    ]
    if len(several) > 1:
        lines += [
            f"Means over {len(several)} repeats of the same {items:,} test items; accuracies "
            + ", ".join(f"{a:.4f}" for a in several)
            + f", sample standard deviation {scores.accuracy_sd or 0.0:.4f}.",
            "",
        ]
    else:
        lines += [f"On {items:,} test items.", ""]
    right = sum(row[at] for at, row in enumerate(end.confusion))
    low, high = wilson_interval(right, items)
    interval = f"{low:.4f} to {high:.4f} (Wilson)" if len(several) < 2 else "see the repeats"
    rows = [
        (metric.words_with_unit, f"{value:.4f}", interval if metric is ACCURACY else "")
        for metric in scored_by_runs()
        if (value := scores.value(metric.name)) is not None
    ]
    rows += [(f"recall of {clean(label)}", f"{value:.4f}", "") for label, value in scores.recall.items()]
    if scores.before is not None and scores.before.accuracy is not None:
        rows.append((f"accuracy {Variant.BEFORE.words}", f"{scores.before.accuracy:.4f}", ""))
    rows.append(("invalid answers", f"{scores.invalid or 0:g}", ""))
    lines += cards.table(("score", "value", "95 % interval"), rows, numbers=("value",))
    lines += ["", "## Data", "", f"Source: `{_code(source)}`." if source else "Source: not recorded.", ""]
    lines += cards.files({path.name: path for path in (folder.items, folder.splits, folder.predictions)})
    started = next((r.event for r in EventReader(folder.events).read(1 << 16) if isinstance(r.event, ev.Started)), None)
    if started and started.versions:
        lines += ["", "## Made with", ""]
        if summary.engine != IMPORTED:
            seed = "" if started.seed is None else f", seed {started.seed}"
            lines += [f"Device {_cell(started.device)}{seed}.", ""]
        versions = [(clean(package), clean(version)) for package, version in started.versions.items()]
        lines += cards.table(("package", "version"), versions)
    shown = {clean(key): clean(str(value) or format.MISSING) for key, value in flatten(summary.document)}
    return [*lines, "", "## Settings", "", *cards.settings(shown)]


def _cell(text: str) -> str:
    return cards.cell(clean(text))


def _code(text: str) -> str:
    return cards.code(clean(text))


# -- files ------------------------------------------------------------------------------------------------


def check_free(path: Path) -> Path:
    """The absolute path of a file that can be made there; `UserError` where something is in the way."""
    path = path.expanduser().absolute()
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a file in it")
    if path.exists():
        raise UserError(f"{path} exists; name another file, or take it away")
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}; make it, or name another place")
    return path


def save(path: Path, content: bytes, overwrite: bool = False) -> Path:
    """Write a file whole or not at all; the absolute path. `UserError` where it exists or cannot be written."""
    path = path.expanduser().absolute() if overwrite and path.is_file() else check_free(path)
    try:
        writing.write_atomic(path, content, writing.SHARED)
    except OSError as error:
        remedy = REMEDIES.get(error.errno or 0, "name another place")
        raise UserError(f"{path} cannot be written ({error.strerror or error}); {remedy}") from None
    return path
