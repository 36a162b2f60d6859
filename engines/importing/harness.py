"""The samples files of lm-evaluation-harness: answers by the likelihood of given choices, or in words."""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engines.answers import scoring
from engines.data import files
from engines.data.files import Source
from engines.data.labels import whole_number
from engines.data.table import Table
from engines.errors import DataError
from engines.importing.columns import (
    ImportedAnswers,
    ImportedRepeat,
    foreign_classes,
    foreign_examples,
    note_identity,
    note_invalid,
)
from engines.reporter import Notes
from engines.settings import nearest

SAMPLE_KEYS = {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps"}


class Samples:
    """A samples_*.jsonl: one line per item and filter. Several filters, several readings of an answer, are repeats."""

    def __init__(self, path: Path, digest: str, table: Table, text: str, notes: Notes) -> None:
        """`table` holds the file's objects, `digest` is its sha256, `text` the field of `doc` with the text, "" to
        detect it by name. Raises `DataError` where the objects are no samples of one execution."""
        self._path, self._name, self._digest, self._text, self._notes = path, path.name, digest, text, notes
        self._filters: dict[str, dict[int, tuple[int, dict[str, Any]]]] = {}
        for row, line in zip(table.objects, table.lines, strict=True):
            if lacking := sorted(SAMPLE_KEYS - row.keys()):
                raise DataError(
                    f'{self._name} line {line}: the key "{lacking[0]}" is missing, which the lines before '
                    "have; export the samples again"
                )
            of_filter = self._filters.setdefault(str(row.get("filter", "none")), {})
            number = row["doc_id"]
            if not isinstance(number, int) or number in of_filter:
                fault = f"doc_id {number} stands here a second time" if number in of_filter else f"doc_id is {number!r}"
                raise DataError(
                    f"{self._name} line {line}: {fault}; the harness adds to a file that is there: "
                    "keep the lines of one execution"
                )
            of_filter[number] = (line, row)
        first = next(iter(self._filters.values()))
        for name, of_filter in self._filters.items():
            if of_filter.keys() != first.keys():
                raise DataError(
                    f'{self._name}: the filter "{name}" has {len(of_filter):,} items, another '
                    f"{len(first):,}; export the samples again"
                )
        self._numbers = sorted(first)
        self._first = [first[number] for number in self._numbers]

    def read(self) -> ImportedAnswers:
        """Raises `DataError` with line and remedy where the answers cannot be read as classes."""
        chosen = self._is_multiple_choice(self._first[0][1])
        labels, targets, choices = self._choice_targets() if chosen else self._written_targets()
        source = Source(self._name, self._texts(), targets, self._text, "target", [line for line, _ in self._first])
        files.clean_all(source, self._notes)
        names, classes, class_of = foreign_classes(source, self._notes, choices)
        to = [c for choice in choices if (c := class_of(choice)) is not None]
        if len(set(to)) < len(choices):
            raise DataError(
                f"{self._name}: of the choices {', '.join(choices)}, some name the same class; import a "
                "table of label and prediction instead"
            )
        repeats = []
        for name, of_filter in self._filters.items():
            rows = [of_filter[number] for number in self._numbers]
            if chosen:
                repeats.append(self._chosen(name, rows, to))
            else:
                repeats.append(self._written(name, rows, labels, class_of))
        note_identity(
            self._name,
            bool(source.texts),
            self._notes,
            f"name one of the fields of doc ({', '.join(self._first[0][1]['doc'])}) by --text where it is the text",
        )
        examples = foreign_examples(source, classes, self._digest, self._numbers)
        model, versions, details = self._results()
        return ImportedAnswers("lm-evaluation-harness", names, examples, repeats, "filter", model, versions, details)

    def _texts(self) -> list[Any]:
        doc = self._first[0][1]["doc"]
        if not isinstance(doc, dict):
            raise DataError(f"{self._name} line {self._first[0][0]}: doc is no object; export the samples again")
        if self._text and self._text not in doc:
            raise DataError(
                f'{self._name}: doc has no field "{self._text}"{nearest(self._text, doc)}; '
                f"set --text to one of {', '.join(doc)}"
            )
        self._text = self._text or next((n for n in files.TEXT_NAMES if isinstance(doc.get(n), str)), "")
        if not self._text:
            return []
        for line, row in self._first:
            if not isinstance(row["doc"], dict) or self._text not in row["doc"]:
                raise DataError(f'{self._name} line {line}: doc has no field "{self._text}"; set --text to another')
        return [row["doc"][self._text] for _, row in self._first]

    # -- the likeliest of given choices --

    @staticmethod
    def _is_multiple_choice(row: dict[str, Any]) -> bool:
        given = row["filtered_resps"]
        return isinstance(given, list) and len(given) > 1 and all(isinstance(a, list) and len(a) == 2 for a in given)

    def _choices(self, line: int, row: dict[str, Any]) -> list[str]:
        """The continuations of one context; those without it, for mutual information, come after and are left out."""
        try:
            arguments = [(a["arg_0"], str(a["arg_1"]).strip()) for a in row["arguments"].values()]
        except (AttributeError, KeyError, TypeError):
            raise DataError(f"{self._name} line {line}: arguments hold no choices; export the samples again") from None
        return [choice for context, choice in arguments if context == arguments[0][0]]

    def _choice_targets(self) -> tuple[tuple[str, ...], list[str], list[str]]:
        choices = self._choices(*self._first[0])
        for line, row in self._first:
            if self._choices(line, row) != choices or len(set(choices)) < 2:
                raise DataError(
                    f"{self._name} line {line}: the choices ({', '.join(self._choices(line, row))[:80]}) "
                    "are not those of the first item; only tasks with the same classes for all items can "
                    "be imported"
                )
        by_place = [self._by_place(row["target"], choices) for _, row in self._first]
        by_word = [
            str(row["target"]).strip() if str(row["target"]).strip() in choices else None for _, row in self._first
        ]
        readings = [r for r in (by_place, by_word) if None not in r and self._fits_scores(r, choices)]
        if not readings or any(r != readings[0] for r in readings):
            both = zip(self._first, by_place, by_word, strict=True)
            neither = [first for first, *read in both if read == [None, None]]
            line, row = (neither or self._first)[0]
            why = "can be read as a choice and as the number of another" if readings else "is none of the choices"
            raise DataError(
                f"{self._name} line {line}: target {row['target']!r} {why} ({', '.join(choices)}); "
                "import a table of label and prediction instead"
            )
        return tuple(choices), [target for target in readings[0] if target is not None], choices

    @staticmethod
    def _by_place(target: Any, choices: list[str]) -> str | None:
        number = whole_number(target)
        return choices[number] if number is not None and 0 <= number < len(choices) else None

    def _fits_scores(self, targets: list[str | None], choices: list[str]) -> bool:
        """Whether the harness's own accuracy of every item follows from these targets; True where it gives none."""
        for (line, row), target in zip(self._first, targets, strict=True):
            likelihoods = self._likelihoods(line, row, len(choices))
            if "acc" in row and not any(map(math.isnan, likelihoods)):
                best = choices[max(range(len(choices)), key=likelihoods.__getitem__)]
                if bool(row["acc"]) != (best == target):
                    return False
        return True

    def _likelihoods(self, line: int, row: dict[str, Any], count: int) -> list[float]:
        try:
            likelihoods = [float(answer[0]) for answer in row["filtered_resps"][:count]]
        except (TypeError, ValueError, IndexError):
            raise DataError(
                f"{self._name} line {line}: filtered_resps hold no log-likelihood of each choice; "
                "export the samples again"
            ) from None
        if len(likelihoods) < count:
            raise DataError(
                f"{self._name} line {line}: filtered_resps hold {len(likelihoods)} log-likelihoods for {count} "
                "choices; export the samples again"
            )
        return likelihoods

    def _chosen(self, name: str, rows: list[tuple[int, dict[str, Any]]], to: list[int]) -> ImportedRepeat:
        """`to` is the class of each choice."""
        probabilities = []
        for line, row in rows:
            likelihoods = self._likelihoods(line, row, len(to))
            by_class = [likelihoods[to.index(c)] for c in range(len(to))]
            probabilities.append(_softmax(by_class))
        return ImportedRepeat(name, scoring.predicted_classes(probabilities), probabilities)

    # -- answers in words --

    def _written_targets(self) -> tuple[tuple[str, ...], list[str], list[str]]:
        targets = [str(row["target"]).strip() for _, row in self._first]
        return tuple(sorted(set(targets))), targets, []

    def _written(
        self,
        name: str,
        rows: list[tuple[int, dict[str, Any]]],
        labels: Sequence[str],
        class_of: Callable[[Any], int | None],
    ) -> ImportedRepeat:
        folded = {label.casefold(): label for label in labels}
        answers, texts = [], {}
        for n, (line, row) in enumerate(rows):
            answer = row["filtered_resps"]
            while isinstance(answer, list) and answer:
                answer = answer[0]
            if not isinstance(answer, str):
                raise DataError(
                    f"{self._name} line {line}: filtered_resps hold no text; only tasks of multiple choice "
                    "and of written answers can be imported"
                )
            written = row["resps"]
            while isinstance(written, list) and written:
                written = written[0]
            texts[n] = str(written)
            word = answer.strip()
            answers.append(folded.get(word.casefold(), word))
        predicted = [class_of(word) for word in answers]
        note_invalid(f'{self._name} filter "{name}"', answers, predicted, self._notes)
        return ImportedRepeat(name, predicted, [[] for _ in rows], texts)

    # -- the results beside the samples --

    def _results(self) -> tuple[str, dict[str, str], dict[str, Any]]:
        """Model, versions and details from the results_*.json of the same execution."""
        stem = self._path.name.partition(".jsonl")[0].removeprefix("samples_")
        task, _, date = stem.rpartition("_")
        beside = self._path.with_name(f"results_{date}.json")
        details: dict[str, Any] = {"task": task}
        try:
            results = json.loads(beside.read_bytes())
        except FileNotFoundError:
            self._notes.note(
                f"{self._name}: no {beside.name} beside it, so model and versions are not known; "
                "--model names the model"
            )
            return "", {}, details
        except ValueError as error:
            raise DataError(f"{beside}: not JSON ({error}); copy it again or take it away") from None
        versions = {
            name: str(results[f"{name}_version"])
            for name in ("lm_eval", "transformers")
            if results.get(f"{name}_version")
        }
        for key, value in (
            ("shots", results.get("n-shot", {}).get(task)),
            ("task_hash", results.get("task_hashes", {}).get(task)),
            ("results_sha256", hashlib.sha256(beside.read_bytes()).hexdigest()),
        ):
            if value is not None:
                details[key] = value
        model = str(results.get("model_name") or "")
        self._notes.note(f"{self._name}: model {model or 'unknown'}, by {beside.name}")
        return model, versions, details


def _softmax(likelihoods: list[float]) -> list[float]:
    """Probabilities from log-likelihoods; empty where these give none."""
    top = max(likelihoods)
    if not math.isfinite(top) or any(map(math.isnan, likelihoods)):
        return []
    shares = [math.exp(value - top) for value in likelihoods]
    return [share / sum(shares) for share in shares]
