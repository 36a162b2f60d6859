"""A language model as it is: asked for the class of each review, with or without examples, once or in repeats.

A repeat changes one thing, `prompt.varies`, and nothing else; the model is loaded once. The run's own scores are
the means over its repeats with `repeats`, the accuracy of each, and `accuracy_sd`, their sample standard
deviation; its confusion, and so every interval over items, is that of the first repeat.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from random import Random

from msgspec import structs

from engines import hub
from engines.answers import predictions, scoring
from engines.answers.classifier import checked_repeat
from engines.data.items import Example, write_items
from engines.data.labels import whole_number
from engines.data.splits import Data, Splits, load_splits
from engines.errors import ConfigError
from engines.memory import components, formulas
from engines.memory.components import ANSWER_TOKENS, Machine, Need, classes, prompt_scoring, shared_tokens
from engines.models import location, opening
from engines.models.location import Model
from engines.models.opening import PRECISIONS
from engines.prompts import encoding, likelihood, templates
from engines.prompts.answering import PromptClassifier, PromptRepeat, recorded_model_path, write_answers
from engines.prompts.encoding import PromptTokenizer
from engines.prompts.likelihood import CALIBRATIONS, Batches, Scorer
from engines.prompts.templates import TEMPLATES, Prompt
from engines.prompts.untrained_head import HeadClassifier, Headed
from engines.reporter import Reporter
from engines.runs import events as ev
from engines.runs.folder import RunFolder
from engines.runs.scores import Scores
from engines.runs.writing import write_atomic
from engines.settings import group, option
from engines.training import provenance

TITLE = "Prompting a language model"
USES_GPU = True
CHECKED_TEXTS = 32
"""Reviews for which a run of `likelihood` also lets the model write, to see whether text and likelihood agree."""
EXAMPLE_MIN_TOKENS = 8


@dataclass(frozen=True)
class Prompting:
    """What is asked, and what is done again."""

    method: str = option(
        "likelihood",
        "How an answer is read: from the likelihood of the label words, from text the model writes, or, to show "
        "where the founding study's randomness came from, by an untrained head.",
        choices=("likelihood", "generate", "untrained_head"),
    )
    shots: int = option(0, "Examples shown before the review, from the training split.", unit="per class", minimum=0)
    template: str = option("classify", "The wording; with varies = template, the first one.", choices=tuple(TEMPLATES))
    form: str = option(
        "auto",
        "Whether the model's own chat form is used; auto does where its tokenizer has one.",
        choices=("auto", "chat", "plain"),
    )
    calibration: str = option(
        "none",
        "What is subtracted from a label's score: its score without the review (pmi), on inputs without content "
        "(contextual), or over all reviews of the test (batch).",
        choices=CALIBRATIONS,
    )
    varies: str = option(
        "nothing",
        "What differs from one repeat to the next.",
        choices=("nothing", "template", "exemplars", "sampling", "label_words", "head"),
    )
    repeats: int = option(1, "How often the test is done.", unit="repeats", minimum=1, maximum=100)
    temperature: float = option(0.0, "Of written answers; 0 writes the likeliest token.", minimum=0, maximum=5)
    max_length: int = option(512, "Longer reviews are truncated to this many tokens.", unit="tokens", minimum=4)
    example_length: int = option(
        256,
        "Longer examples are truncated to this many tokens, or fewer where the model reads no more.",
        unit="tokens",
        minimum=EXAMPLE_MIN_TOKENS,
    )


@dataclass(frozen=True)
class Config:
    """Settings of `prompting`."""

    model: Model = group(lambda: Model(name="mistralai/Mistral-7B-Instruct-v0.2"))
    data: Data = group(Data)
    prompt: Prompting = group(Prompting)
    precision: str = option(
        "auto",
        "Of the weights; auto is bf16 on a GPU and float32 on the CPU, nf4 is 4 bits and needs bitsandbytes.",
        choices=PRECISIONS,
    )
    trust_remote_code: bool = option(False, "Run code that a model brings along, with your rights.")
    seed: int = option(0, "Seed of the examples, sampled answers and untrained heads.", minimum=0)

    def check(self) -> None:
        """Raise `ConfigError` where settings do not fit together; reads nothing."""
        prompt = self.prompt
        method, varies = prompt.method, prompt.varies
        self.data.check_splits("test")
        if prompt.shots and not self.data.train:
            raise ConfigError(f"data.train = 0 leaves no examples for prompt.shots = {prompt.shots}; raise it")
        if prompt.temperature and method != "generate":
            raise ConfigError(
                f"prompt.temperature = {prompt.temperature:g} is for written answers; set it to 0, or "
                'prompt.method to "generate"'
            )
        if prompt.calibration != "none" and method != "likelihood":
            raise ConfigError(
                f'prompt.calibration = "{prompt.calibration}" is for prompt.method = "likelihood"; set it to "none"'
            )
        if method == "untrained_head" and (prompt.shots or varies not in ("head", "nothing")):
            what = f"prompt.shots = {prompt.shots}" if prompt.shots else f'prompt.varies = "{varies}"'
            raise ConfigError(f"{what} does not reach an untrained head, which reads no prompt; take it out")
        if varies == "head" and method != "untrained_head":
            raise ConfigError(f'prompt.varies = "head" is for prompt.method = "untrained_head", not "{method}"')
        if varies == "exemplars" and not prompt.shots:
            raise ConfigError('prompt.varies = "exemplars" needs examples; raise prompt.shots')
        if varies == "sampling" and not prompt.temperature:
            raise ConfigError('prompt.varies = "sampling" needs prompt.method = "generate" and a temperature above 0')
        if varies == "template" and prompt.repeats > len(TEMPLATES):
            raise ConfigError(f"prompt.repeats = {prompt.repeats} is more than the {len(TEMPLATES)} wordings; lower it")


@dataclass(frozen=True)
class RepeatAnswers:
    """What one repeat answers, an entry for each item."""

    predicted: list[int | None]
    probabilities: list[list[float]]  # empty where a text was written
    texts: dict[int, str] = field(default_factory=dict)  # as written, by item
    scored: Scores = Scores()  # what is known beside the scores of the answers


def run(config: Config, report: Reporter) -> None:
    report.model = config.model.name
    splits = load_splits(config.data, report)
    write_items(report.folder, splits.test, splits.labels)
    if config.prompt.method != "untrained_head" and all(whole_number(label) is not None for label in splits.labels):
        report.note(
            f"the model is asked to answer with one of {', '.join(splits.labels)}, and not told what they mean; "
            "data.labels gives the classes names, in their order",
            "warning",
        )
    path = location.locate(config.model, report, config.trust_remote_code)
    provenance.check_apart(path, config.model.name, splits.test, config.data.overlap, report)
    if config.trust_remote_code and "/" in config.model.name and not Path(config.model.name).expanduser().exists():
        hub.fetch(config.model.name, "model", (*hub.MODEL_FILES, "*.py"), report, config.model.revision)
    repeats = config.prompt.repeats
    if config.prompt.varies == "nothing" and repeats > 1:
        report.note(f"nothing varies, so {repeats} repeats would be one and the same: it is run once", "warning")
        repeats = 1
    ask = _ask_head if config.prompt.method == "untrained_head" else _ask
    asked, results, read = ask(config, splits, path, repeats, report)
    _write_predictions(report, splits, results, read)
    _save(config, splits, path, asked, report)
    _conclude(splits, results, report)


def memory_needs(config: Config, machine: Machine) -> Need:
    model, prompt = machine.architecture(config.model), config.prompt
    precision, batches = machine.decoder_precision(config.precision), Batches(machine.kind)
    least: dict[str, dict[str, int]] = {}
    if prompt.method == "untrained_head":
        tokens = batches.size(prompt.max_length) * prompt.max_length
        score = {
            **formulas.weights(model, precision, model.width * classes(config.data)),
            "activations": formulas.passing_bytes(model, tokens, machine.decoder_numbers(precision)),
        }
    else:
        review = prompt.max_length + ANSWER_TOKENS
        shared = shared_tokens(model, review, prompt.shots * classes(config.data) * prompt.example_length)
        score = prompt_scoring(model, machine, precision, review, shared, batches.size(review, shared))
        least = {"score": prompt_scoring(model, machine, precision, review, shared, 1)}
    return Need(
        model.family,
        {"score": score},
        least,
        host=components.texts(config.data),
        notes=components.unknown_family(model),
    )


def weight_bytes(folder: RunFolder) -> int:
    """What the weights that `load` opens take on a GPU: those of the model that was asked."""
    document = json.loads((folder.model / "prompting.json").read_bytes())
    return formulas.decoder_bytes(recorded_model_path(folder, document), document["precision"])


def load(folder: RunFolder, device: str, repeat: int = 0) -> PromptClassifier | HeadClassifier:
    """The model of a finished run as the given repeat asked it, counted from 0, on `device`."""
    document = json.loads((folder.model / "prompting.json").read_bytes())
    path = recorded_model_path(folder, document)
    asked = []
    for entry in document["repeats"]:
        shots = tuple((text, label) for text, label in entry["shots"])
        prompt = Prompt(TEMPLATES[entry["template"]], tuple(entry["words"]), shots)
        asked.append(PromptRepeat(entry["value"], prompt, entry["seed"], tuple(entry["log_prior"])))
    checked_repeat(repeat, len(asked))
    labels, max_length, trust = tuple(document["labels"]), document["max_length"], document["trust_remote_code"]
    if document["method"] == "untrained_head":
        headed = Headed(*opening.load_headed(path, document["precision"], device, trust), device)
        return HeadClassifier(labels, headed, [a.seed for a in asked], max_length, repeat)
    model, tokenizer = opening.load_model(path, document["precision"], device, trust)
    prompt_tokenizer = PromptTokenizer(tokenizer, encoding.chats(document["form"], tokenizer))
    writes, temperature = document["method"] == "generate", document["temperature"]
    return PromptClassifier(
        labels, prompt_tokenizer, Scorer(model, device), asked, max_length, writes, temperature, repeat
    )


# -- prompts ------------------------------------------------------------------------------------------------


def _ask(
    config: Config, splits: Splits, path: Path, repeats: int, report: Reporter
) -> tuple[list[PromptRepeat], list[RepeatAnswers], list[int]]:
    """Ask about every item in every repeat; also how many tokens of each item are read."""
    settings, items = config.prompt, splits.test
    drawn = _draws(config, splits, repeats)  # before the model is loaded: what does not work ends here
    report.phase("load")
    model, tokenizer = opening.load_model(path, config.precision, report.device, config.trust_remote_code)
    prompt_tokenizer = PromptTokenizer(tokenizer, encoding.chats(settings.form, tokenizer))
    scorer = Scorer(model, report.device)
    texts, read = _truncated(prompt_tokenizer, "test", [e.text for e in items], settings.max_length, report)
    drawn = [
        replace(repeat, prompt=_shortened(repeat.prompt, settings, prompt_tokenizer, scorer, report))
        for repeat in drawn
    ]

    sample = _sample(config, len(items)) if settings.method == "likelihood" else []
    written: dict[int, str] = {}
    if sample:
        report.phase("write", len(sample), "texts")
        prompt = drawn[0].prompt
        encoded = prompt_tokenizer.encode(prompt, [texts[n] for n in sample])
        answers_written = write_answers(prompt_tokenizer, scorer, encoded, done=_counted(report))
        written = dict(zip(sample, answers_written, strict=True))

    report.phase("test", repeats * len(items), "texts")
    asked: list[PromptRepeat] = []
    results: list[RepeatAnswers] = []
    for index, repeat in enumerate(drawn):
        done = _counted(report, index * len(items), len(items))
        if settings.method == "generate":
            answers = _answers_by_text(prompt_tokenizer, scorer, repeat, items, texts, settings.temperature, done)
        else:
            repeat, answers = _answers_by_likelihood(
                prompt_tokenizer, scorer, repeat, texts, settings.calibration, done
            )
            if index == 0:
                answers = _compared(answers, written, repeat.prompt.words, report)
        asked.append(repeat)
        results.append(answers)
        _report_repeat(config, splits, index, repeat, answers, report)
    return asked, results, read


def _draws(config: Config, splits: Splits, repeats: int) -> list[PromptRepeat]:
    """The prompts of all repeats, examples in full length."""
    settings, varies = config.prompt, config.prompt.varies
    wordings = templates.template_order(settings.template)
    words = templates.label_words(splits.labels)
    if varies == "label_words" and repeats > len(words):
        raise ConfigError(
            f"prompt.repeats = {repeats} is more than the {len(words)} ways to write the classes "
            f"{', '.join(splits.labels)}; lower it"
        )
    under_test = {example.hash for example in splits.test}
    drawn = []
    for index in range(repeats):
        shots: list[Example] = []
        if settings.shots:
            draw = index if varies == "exemplars" else 0
            shots = templates.draw_shots(splits.train, splits.labels, settings.shots, config.seed, draw, under_test)
        prompt = Prompt(
            wordings[index if varies == "template" else 0],
            words[index if varies == "label_words" else 0],
            tuple((shot.text, shot.label) for shot in shots),
        )
        seed = f"{config.seed}/{index if varies == 'sampling' else 0}"
        value = {
            "template": prompt.template.name,
            "label_words": " / ".join(prompt.words),
            "exemplars": "rows " + " ".join(str(shot.row) for shot in shots),
            "sampling": f"seed {seed}",
        }.get(varies, "")
        drawn.append(PromptRepeat(value, prompt, seed))
    return drawn


def _shortened(
    prompt: Prompt, settings: Prompting, prompt_tokenizer: PromptTokenizer, scorer: Scorer, report: Reporter
) -> Prompt:
    """The prompt with examples cut so that they, the longest review and an answer fit into the model's context."""
    bare = replace(prompt, shots=tuple(("", label) for _, label in prompt.shots))
    answer = max(map(len, prompt_tokenizer.answers(bare))) + likelihood.ANSWER_TOKENS_MORE
    room = scorer.context - prompt_tokenizer.length(bare, "") - answer - settings.max_length
    name = prompt.template.name
    if room < EXAMPLE_MIN_TOKENS * len(prompt.shots):
        remedy = "lower prompt.shots or prompt.max_length" if prompt.shots else "lower prompt.max_length"
        raise ConfigError(
            f"the model reads {scorer.context:,} tokens, too few for prompt.max_length = {settings.max_length} and "
            f'{len(prompt.shots)} examples in the wording "{name}"; {remedy}'
        )
    if not prompt.shots:
        report.note(f"{name}: {prompt_tokenizer.length(bare, ''):,} tokens of prompt, no example")
        return prompt
    each = int(min(settings.example_length, room // len(prompt.shots)))
    texts, _ = _truncated(prompt_tokenizer, "examples", [text for text, _ in prompt.shots], each, report)
    shots = tuple((text, label) for text, (_, label) in zip(texts, prompt.shots, strict=True))
    shortened = replace(prompt, shots=shots)
    report.note(f"{name}: {prompt_tokenizer.length(shortened, ''):,} tokens of prompt with {len(shots)} examples")
    return shortened


def _truncated(
    prompt_tokenizer: PromptTokenizer, split: str, texts: Sequence[str], max_length: int, report: Reporter
) -> tuple[list[str], list[int]]:
    """Texts of at most `max_length` tokens, and how many of each are read; how many are truncated is reported."""
    kept, read, total = prompt_tokenizer.cut(texts, max_length)
    if cut := sum(r < t for r, t in zip(read, total, strict=True)):
        report.fact(ev.Truncated(split, cut, len(texts), max_length))
    return kept, read


def _sample(config: Config, items: int) -> list[int]:
    return sorted(Random(f"{config.seed}/text").sample(range(items), min(CHECKED_TEXTS, items)))


def _answers_by_text(
    prompt_tokenizer: PromptTokenizer,
    scorer: Scorer,
    repeat: PromptRepeat,
    items: Sequence[Example],
    texts: Sequence[str],
    temperature: float,
    done: Callable[[int], None],
) -> RepeatAnswers:
    encoded = prompt_tokenizer.encode(repeat.prompt, texts, lambda: done(0))
    keys = [f"{repeat.seed}/{item.hash}" for item in items]
    written = write_answers(prompt_tokenizer, scorer, encoded, temperature, keys, done)
    predicted = [templates.parse_answer(text, repeat.prompt.words) for text in written]
    return RepeatAnswers(predicted, [[] for _ in items], dict(enumerate(written)))


def _answers_by_likelihood(
    prompt_tokenizer: PromptTokenizer,
    scorer: Scorer,
    repeat: PromptRepeat,
    texts: Sequence[str],
    calibration: str,
    done: Callable[[int], None],
) -> tuple[PromptRepeat, RepeatAnswers]:
    without = {"pmi": ("",), "contextual": likelihood.CONTENT_FREE}.get(calibration, ())
    encoded = prompt_tokenizer.encode(repeat.prompt, [*without, *texts], lambda: done(0))
    rows = scorer.score(encoded, done)
    scored = rows[len(without) :]
    prior = [0.0] * len(repeat.prompt.words)
    if calibration != "none":
        prior = likelihood.log_prior(rows[: len(without)] or scored)
    probabilities = [likelihood.probabilities(row, prior) for row in scored]
    answers = RepeatAnswers(scoring.predicted_classes(probabilities), probabilities)
    return replace(repeat, log_prior=tuple(prior)), answers


def _compared(answers: RepeatAnswers, written: dict[int, str], words: Sequence[str], report: Reporter) -> RepeatAnswers:
    """What the model wrote about the sample, held against its likelihoods."""
    parsed = {item: templates.parse_answer(text, words) for item, text in written.items()}
    invalid = sum(answer is None for answer in parsed.values())
    other = sum(answer is not None and answer != answers.predicted[item] for item, answer in parsed.items())
    report.note(
        f"of {len(parsed)} reviews answered in writing too, {other} got another label than by likelihood and {invalid} "
        "no label at all"
    )
    scored = Scores(written=len(parsed), written_other=other, written_invalid=invalid)
    return replace(answers, texts=written, scored=scored)


def _counted(report: Reporter, before: int = 0, most: int | None = None) -> Callable[[int], None]:
    def done(texts: int) -> None:
        report.check_stop()
        report.progress(before + (texts if most is None else min(texts, most)))

    return done


# -- the untrained head -------------------------------------------------------------------------------------


def _ask_head(
    config: Config, splits: Splits, path: Path, repeats: int, report: Reporter
) -> tuple[list[PromptRepeat], list[RepeatAnswers], list[int]]:
    settings, items = config.prompt, splits.test
    report.fact(ev.Untrained("head"))
    report.phase("load")
    loaded = opening.load_headed(path, config.precision, report.device, config.trust_remote_code)
    headed = Headed(*loaded, report.device)
    report.phase("test", len(items), "texts")
    texts, read = _truncated(headed.prompt_tokenizer, "test", [e.text for e in items], settings.max_length, report)
    states = headed.states(texts, splits.labels, _counted(report))
    asked, results = [], []
    prompt = Prompt(TEMPLATES[settings.template], tuple(splits.labels))
    for index in range(repeats):
        seed = f"{config.seed}/{index}"
        probabilities = headed.probabilities(states, seed)
        answers = RepeatAnswers(
            scoring.predicted_classes(probabilities), probabilities, scored=Scores(untrained_head=True)
        )
        asked.append(PromptRepeat(f"seed {seed}", prompt, seed))
        results.append(answers)
        _report_repeat(config, splits, index, asked[-1], answers, report)
    return asked, results, read


# -- results ------------------------------------------------------------------------------------------------


def _scores(splits: Splits, answers: RepeatAnswers) -> tuple[Scores, list[list[int]]]:
    confusion = scoring.confusion_matrix([e.label for e in splits.test], answers.predicted, len(splits.labels))
    beside = answers.scored
    scores = structs.replace(
        scoring.scores(confusion, splits.labels),
        untrained_head=beside.untrained_head,
        written=beside.written,
        written_other=beside.written_other,
        written_invalid=beside.written_invalid,
    )
    return scores, confusion


def _report_repeat(
    config: Config, splits: Splits, index: int, repeat: PromptRepeat, answers: RepeatAnswers, report: Reporter
) -> None:
    scores, confusion = _scores(splits, answers)
    report.repeat(index, config.prompt.varies, repeat.value, scores, list(splits.labels), confusion)


def _write_predictions(report: Reporter, splits: Splits, results: Sequence[RepeatAnswers], read: Sequence[int]) -> None:
    """`predictions.jsonl`: one line per item and repeat, the repeats one after the other."""
    sets = (
        predictions.predictions_of(
            splits.test,
            splits.labels,
            answers.predicted,
            answers.probabilities,
            read,
            repeat=index,
            texts=answers.texts,
        )
        for index, answers in enumerate(results)
    )
    predictions.write(report.folder, chain.from_iterable(sets))


def _save(config: Config, splits: Splits, path: Path, asked: Sequence[PromptRepeat], report: Reporter) -> None:
    """`model/prompting.json`: which model was asked what; the weights stay where they are."""
    document = {
        "labels": splits.labels,
        "model": config.model.name,
        "path": str(path.resolve()),
        "precision": config.precision,
        "trust_remote_code": config.trust_remote_code,
        "method": config.prompt.method,
        "form": config.prompt.form,
        "temperature": config.prompt.temperature,
        "max_length": config.prompt.max_length,
        "repeats": [
            {
                "value": repeat.value,
                "template": repeat.prompt.template.name,
                "words": repeat.prompt.words,
                "shots": repeat.prompt.shots,
                "log_prior": repeat.log_prior,
                "seed": repeat.seed,
            }
            for repeat in asked
        ],
    }
    report.folder.model.mkdir(mode=0o700, exist_ok=True)
    write_atomic(report.folder.model / "prompting.json", json.dumps(document, ensure_ascii=False).encode())


def _conclude(splits: Splits, results: Sequence[RepeatAnswers], report: Reporter) -> None:
    every = [_scores(splits, answers) for answers in results]
    scores = scoring.over_repeats([repeat_scores for repeat_scores, _ in every])
    report.evaluated("test", scores, list(splits.labels), every[0][1])
