"""A language model tuned by low-rank adapters, in 4 bits or not, and scored on the same items before and after.

One run yields two rows: its scores are the tuned model's, with those of the model before tuning under "before".
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from msgspec import structs

from engines.answers import scoring
from engines.answers.intervals import wilson_interval
from engines.data.dealing import SPLITS
from engines.data.splits import class_counts
from engines.memory import components, formulas
from engines.memory.components import ANSWER_TOKENS, INSTRUCTION_TOKENS, Machine, Need, prompt_scoring, shared_tokens
from engines.memory.formulas import LINEAR_NAMES
from engines.models import cards, opening
from engines.prompts import encoding
from engines.prompts.answering import PromptClassifier, PromptRepeat, recorded_model_path
from engines.prompts.encoding import PromptTokenizer
from engines.prompts.likelihood import Batches, Scorer
from engines.prompts.templates import TEMPLATES, Prompt
from engines.reporter import Reporter
from engines.runs.folder import RunFolder
from engines.runs.scores import Scores
from engines.runs.writing import write_folder
from engines.training import lora
from engines.training.adapter_tuning import AdapterTuning
from engines.training.lora import Config

TITLE = "QLoRA and LoRA tuning of a language model"
USES_GPU = True


def run(config: Config, report: Reporter) -> None:
    task = AdapterTuning(config, report)  # data, tokens, model, its scores before, adapters; or from a checkpoint
    task.train()
    task.course.take_best()
    tuned = task.score_tuned()
    scores, confusion = task.scores_of(tuned)
    before, confusion_before = task.scores_of(task.before)
    mended, broken = _changes(task, tuned)
    report.note(
        f"tuning mended {mended:,} and broke {broken:,} of {len(tuned):,} answers: accuracy "
        f"{before.accuracy:.4f} before, {scores.accuracy:.4f} after"
    )
    report.phase("save")

    def fill(folder: Path) -> None:
        task.save(folder)
        (folder / "qlora.json").write_text(json.dumps(_document(task), ensure_ascii=False))
        (folder / "README.md").write_text(_card(task, folder, before, scores))

    write_folder(report.folder.model, fill)
    before = structs.replace(before, confusion=confusion_before)
    scores = structs.replace(scores, before=before, mended=mended, broken=broken)
    report.evaluated("test", scores, list(task.splits.labels), confusion)


def load(folder: RunFolder, device: str) -> PromptClassifier:
    """The tuned model of a finished run, on `device`."""
    document = json.loads((folder.model / "qlora.json").read_bytes())
    base, _ = lora.load_base(recorded_model_path(folder, document), document["precision"], device)
    model = lora.add_adapters(base, folder.model, document["precision"])
    tokenizer = opening.load_tokenizer(folder.model)
    prompt_tokenizer = PromptTokenizer(tokenizer, encoding.chats(document["form"], tokenizer), tuned=True)
    labels = tuple(document["labels"])
    asked = PromptRepeat("", Prompt(TEMPLATES[document["template"]], labels), "", (0.0,) * len(labels))
    return PromptClassifier(
        labels, prompt_tokenizer, Scorer(model, device), [asked], document["max_length"], False, 0.0
    )


def memory_needs(config: Config, machine: Machine) -> Need:
    model, training, precision = machine.architecture(config.model), config.training, config.precision
    numbers = machine.decoder_numbers(precision)
    asked = config.lora.targets.strip()
    targets = LINEAR_NAMES if asked == "all-linear" else [name.strip() for name in asked.split(",")]
    adapters = formulas.Lora(
        config.lora.rank, tuple(name for name in LINEAR_NAMES if name in targets), config.lora.dropout
    )
    parameters = model.lora_parameters(adapters.rank, adapters.targets)
    adapters_bytes = parameters * (2 if precision == "nf4" else 4)  # on a 4-bit base adapters are bf16, else float32
    optimizer = training.optimizer if machine.on_gpu else "AdamW float32"
    moments = {f"optimiser, {optimizer}": parameters * (2 if "8bit" in optimizer else 8)}
    paged = "paged" in optimizer  # CUDA's managed memory, which torch does not count
    held = {**formulas.weights(model, precision), "adapters": adapters_bytes, **({} if paged else moments)}
    review = training.max_length + ANSWER_TOKENS
    batch, length = training.batch_size, review + INSTRUCTION_TOKENS
    train = {
        **held,
        "gradients": adapters_bytes,
        "activations": formulas.training_activations(
            model, batch, length, numbers, adapters, training.activation_checkpointing
        ),
        "activations under way": formulas.backward_bytes(model, batch * length, numbers),
        "logits": batch * ANSWER_TOKENS * model.vocabulary * 4,  # only answers meet the output head
    }
    shared = shared_tokens(model, review)
    score, one = (
        {**prompt_scoring(model, machine, precision, review, shared, rows), **held}
        for rows in (Batches(machine.kind).size(review, shared), 1)
    )
    return Need(
        model.family,
        {"train": train, "score": score},
        {"train": train, "score": one},
        libraries="Trainer",
        host=components.texts(config.data),
        unseen=moments if paged else {},
        notes=components.unknown_family(model),
    )


def weight_bytes(folder: RunFolder) -> int:
    """What the weights that `load` opens take on a GPU: the base model's and the adapters'."""
    document = json.loads((folder.model / "qlora.json").read_bytes())
    adapters_bytes = sum(file.stat().st_size for file in folder.model.glob("*.safetensors"))
    return formulas.decoder_bytes(recorded_model_path(folder, document), document["precision"]) + adapters_bytes


def _changes(task: AdapterTuning, tuned: list[list[float]]) -> tuple[int, int]:
    """Items that only the tuned model answers right, and that only the original does."""
    true = [e.label for e in task.splits.test]
    predicted = (scoring.predicted_classes(probabilities) for probabilities in (task.before, tuned))
    right = [[p == t for p, t in zip(answers, true, strict=True)] for answers in predicted]
    pairs = list(zip(*right, strict=True))
    return sum(after and not before for before, after in pairs), sum(before and not after for before, after in pairs)


def _document(task: AdapterTuning) -> dict[str, Any]:
    config = task.config
    return {
        "labels": task.splits.labels,
        "model": config.model.name,
        "path": str(task.base.resolve()),
        "precision": config.precision,
        "template": config.prompt.template,
        "form": config.prompt.form,
        "max_length": config.training.max_length,
    }


def _card(task: AdapterTuning, model: Path, before: Scores, after: Scores) -> str:
    """The model card: what was tuned on what, with which settings, and what came of it."""
    config, folder, splits = task.config, task.report.folder, task.splits
    items = len(splits.test)
    head = ["---", "library_name: peft", "pipeline_tag: text-classification"]
    if "/" in config.model.name and not Path(config.model.name).expanduser().exists():
        head.append(f"base_model: {config.model.name}")
    kind = "a 4-bit (nf4, double quantisation) base" if config.precision == "nf4" else f"a {config.precision} base"
    dealt = []
    for name in SPLITS:
        examples = getattr(splits, name)
        counts = class_counts(examples, splits.labels).items()
        dealt.append((name, f"{len(examples):,}", ", ".join(f"{count:,} {label}" for label, count in counts)))
    scored = []
    for name, scores in (("before tuning", before), ("tuned", after)):
        accuracy, f1 = scores.accuracy or 0.0, scores.macro_f1 or 0.0
        low, high = wilson_interval(round(accuracy * items), items)
        scored.append((name, f"{accuracy:.4f} ({low:.4f} to {high:.4f})", f"{f1:.4f}"))
    files = {
        "splits.jsonl": folder.splits,
        "items.jsonl (the test)": folder.items,
        "adapter_model.safetensors": model / "adapter_model.safetensors",
        "config.json of the base": task.base / "config.json",
    }
    settings = {name: value for name, value in asdict(config).items() if name != "data"}
    lines = [
        *head,
        "---",
        "",
        f"# {cards.cell(config.model.name)}, tuned to tell {cards.cell(', '.join(splits.labels))}",
        "",
        f"LoRA adapters for {kind}, made by the run `{folder.name}`. The model is asked by the wording "
        f'"{config.prompt.template}"; an answer is the likeliest label.',
        "",
        "## Data",
        "",
        f"Source: `{cards.code(config.data.source)}`, split `{config.data.split}`, seed {config.data.seed}.",
        "",
        *cards.table(("split", "reviews", "of each class"), dealt, numbers=("reviews",)),
        "",
        *cards.files(files),
        "",
        "## Scores",
        "",
        f"On the same {items:,} test reviews; in brackets the 95 % interval (Wilson).",
        "",
        *cards.table(("model", "accuracy", "macro F1"), scored, numbers=("accuracy", "macro F1")),
        "",
        "## Settings",
        "",
        *cards.settings(settings),
    ]
    return "\n".join(lines) + "\n"
