"""Reviews as their source holds them: the quickstart corpus, files, data sets of the hub. No splits yet."""

import re
from pathlib import Path
from typing import Any

from engines.data import corpus, files
from engines.data.files import Source
from engines.data.settings import QUICKSTART, QUICKSTART_REVIEWS
from engines.data.table import Reading, Table
from engines.errors import DataError
from engines.reporter import Listener
from engines.settings import nearest

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?(:[\w.-]+)?")


def read(
    source: str,
    text: str,
    label: str,
    report: Listener,
    reading: Reading,
    drop_empty: bool,
    cache: Path,
) -> Source:
    """Read a source. `text` and `label` name columns, "" detects them by name and logs which.

    A source of the hub is downloaded first, as a phase of its own, and prepared in `cache`. Raises `DataError`, or
    `HubError` when the hub does not give it.
    """
    if source == QUICKSTART:
        table = Table(QUICKSTART, ["text", "label"], lambda at: [])
        files.choose(table, text or "text", label or "label", report, True)
        reviews = corpus.generate(QUICKSTART_REVIEWS, corpus.QUICKSTART_SEED)
        texts, labels = [files.clean(r.text) for r in reviews], [r.label for r in reviews]
        return Source(QUICKSTART, texts, labels, "text", "label", columns=table.columns, layout=QUICKSTART)
    path = Path(source).expanduser()
    if not is_on_hub(source):
        source_read = files.read(path, text, label, report, reading=reading, drop_empty=drop_empty)
        _without_placeholders(source_read, report)
        return source_read
    hub_source = _read_hub(source, text, label, report, cache)
    files.clean_all(hub_source, report, drop_empty)
    _without_placeholders(hub_source, report)
    return hub_source


def is_on_hub(source: str) -> bool:
    """Whether a source is the name of a data set on the hub. Raises `DataError` for a misspelt `quickstart`."""
    if source == QUICKSTART or Path(source).expanduser().exists() or files.looks_like_file(source):
        return False
    if not _HUB_NAME.fullmatch(source):
        return False
    if "/" not in source and nearest(source, [QUICKSTART]):
        raise DataError(f'data.source = "{source}" is neither a file nor a data set{nearest(source, [QUICKSTART])}')
    return True


def _without_placeholders(source: Source, report: Listener) -> None:
    """Labels of -1 that stand for "no label" made None: where a whole official split holds nothing else, as tests
    without published labels do, or where the source numbers its classes from 0 by names. Elsewhere -1 is a class."""
    minus = [value in (-1, "-1") and not isinstance(value, bool) for value in source.labels]
    if not any(minus):
        return
    blank: set[str] = set()
    for part in dict.fromkeys(source.parts):
        if all(is_minus for is_minus, own in zip(minus, source.parts, strict=True) if own == part):
            blank.add(part)
    rows = [
        row
        for row, is_minus in enumerate(minus)
        if is_minus and (source.class_names or (source.parts and source.parts[row] in blank))
    ]
    for row in rows:
        source.labels[row] = None
    kept = sum(minus) - len(rows)
    if rows:
        report.note(f"{source.name}: {len(rows):,} labels of -1 are read as no label")
    if kept:
        report.note(f"{source.name}: -1 is read as a class, like the other numbers")


def _read_hub(source: str, text: str, label: str, report: Listener, cache: Path) -> Source:
    """A data set of the hub, "owner/name" or "owner/name:configuration", through `datasets`."""
    from engines import hub

    name, _, configuration = source.partition(":")
    folder = hub.fetch(name, "dataset", hub.DATASET_FILES, report)
    report.phase("data")
    if not any(path.suffix not in (".md", ".yaml") and path.is_file() for path in folder.rglob("*")):
        raise DataError(
            f"{name} holds no CSV, JSON or Parquet files (data sets made by a script are not run); "
            "convert it to one of these"
        )
    loaded = _loaded(name, folder, configuration, cache / "datasets")
    order = [part for part in ("train", "validation", "test") if part in loaded]
    order += [part for part in loaded if part not in order]
    first = loaded[order[0]]
    columns = list(first.column_names)
    text_at, label_at = files.choose(Table(name, columns, lambda at: []), text, label, report, True)
    assert label_at is not None
    text_columns, label_column = [columns[at] for at in text_at], columns[label_at]
    reviews = Source(name, [], [], " and ".join(text_columns), label_column, columns=columns, layout="hub")
    reviews.class_names = tuple(getattr(first.features[label_column], "names", None) or ())
    for part in order:
        table = loaded[part].data
        if lacking := [column for column in text_columns if column not in table.column_names]:
            raise DataError(f'{name}: the split "{part}" has no column "{lacking[0]}"; set data.text to one it has')
        reviews.texts += files.joined([table.column(column).to_pylist() for column in text_columns])
        reviews.parts += [part] * table.num_rows
        has_labels = label_column in table.column_names
        labels = table.column(label_column).to_pylist() if has_labels else [None] * table.num_rows
        reviews.labels += labels
    return reviews


def _loaded(name: str, folder: Path, configuration: str, cache: Path) -> Any:
    import datasets

    datasets.disable_progress_bars()
    try:
        return datasets.load_dataset(str(folder), name=configuration or None, cache_dir=str(cache))
    except (ValueError, OSError, datasets.exceptions.DatasetsError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        known = datasets.get_dataset_config_names(str(folder))
        if configuration not in known:
            raise DataError(
                f"{name} has the configurations {', '.join(known)}; "
                f'set data.source = "{name}:{known[0]}" or another of them'
            ) from None
        reason = str(error.__cause__ or error).splitlines()[0]
        raise DataError(f"{name} cannot be read as a data set ({reason}); use another one or a file of it") from None
