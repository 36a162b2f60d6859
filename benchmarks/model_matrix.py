"""Which kinds of models can do which jobs: a tiny random model of each architecture, every engine run on it.

    python -m benchmarks.model_matrix                    all architectures; the matrix is put into docs/models.md
    python -m benchmarks.model_matrix llama bert         these alone, printed

Models are made from the config classes of the installed transformers, with the tokenizer of a shipped tiny model.
A cell is "works", a refusal (one sentence of ours that says what would work), or a crash.
"""

import argparse
import json
import shutil
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness import DOCS, machine, say
from engines import catalog
from engines.errors import UserError
from engines.models import tiny
from engines.reporter import Reporter
from engines.runs.folder import RunFolder
from engines.runs.home import Home

WORKS, REFUSED, CRASHED = "works", "refused", "crashed"
PAGE = DOCS.parent / "models.md"
BEGIN, END = "<!-- matrix -->", "<!-- end -->"


@dataclass(frozen=True)
class Kind:
    """An architecture: its class in transformers and what has to differ from `SHAPE` to make it tiny."""

    name: str
    config: str  # class name of its config
    model: str  # class name that the weights are saved from
    decoder: bool = True
    more: dict[str, Any] = field(default_factory=dict)
    drop: tuple[str, ...] = ()  # keys of `SHAPE` that the config does not know


SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
}
ENCODER = ("num_key_value_heads", "head_dim")
MOE: dict[str, Any] = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}


def _decoder(name: str, prefix: str, drop: tuple[str, ...] = (), **more: Any) -> Kind:
    return Kind(name, f"{prefix}Config", f"{prefix}ForCausalLM", True, more, drop)


def _encoder(name: str, prefix: str, head: str = "ForMaskedLM", drop: tuple[str, ...] = ENCODER, **more: Any) -> Kind:
    return Kind(name, f"{prefix}Config", f"{prefix}{head}", False, more, drop)


KINDS = (
    _decoder("llama", "Llama"),
    _decoder("mistral", "Mistral", sliding_window=64),
    _decoder("ministral3", "Ministral3"),
    _decoder("gemma", "Gemma"),
    _decoder("gemma2", "Gemma2", sliding_window=64, query_pre_attn_scalar=8),
    Kind(
        "gemma3_text", "Gemma3TextConfig", "Gemma3ForCausalLM", True, {"sliding_window": 64, "query_pre_attn_scalar": 8}
    ),
    _decoder("qwen2", "Qwen2"),
    _decoder("qwen3", "Qwen3"),
    _decoder("qwen3_moe", "Qwen3Moe", **MOE),
    _decoder("mixtral", "Mixtral", num_local_experts=4, num_experts_per_tok=2),
    _decoder("phi", "Phi"),
    _decoder("phi3", "Phi3", pad_token_id=0, drop=("head_dim",)),
    _decoder("smollm3", "SmolLM3", pad_token_id=0),
    _decoder("olmo2", "Olmo2"),
    _decoder("granite", "Granite"),
    _decoder("stablelm", "StableLm"),
    Kind(
        "gpt2",
        "GPT2Config",
        "GPT2LMHeadModel",
        True,
        {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512},
        tuple(SHAPE),
    ),
    _decoder("gpt_neox", "GPTNeoX", drop=ENCODER),
    _decoder("opt", "OPT", ffn_dim=64, word_embed_proj_dim=32, drop=("intermediate_size", *ENCODER)),
    _decoder("bloom", "Bloom", n_layer=2, n_head=4, drop=tuple(key for key in SHAPE if key != "hidden_size")),
    _decoder("falcon", "Falcon", num_kv_heads=2, new_decoder_architecture=True, drop=("intermediate_size", *ENCODER)),
    _decoder(
        "mamba", "Mamba", state_size=8, drop=tuple(k for k in SHAPE if k not in ("hidden_size", "num_hidden_layers"))
    ),
    _decoder("gpt_oss", "GptOss", num_local_experts=4, num_experts_per_tok=2, sliding_window=64),
    _decoder("lfm2", "Lfm2", layer_types=["conv", "full_attention"], block_auto_adjust_ff_dim=False),
    _decoder("cohere2", "Cohere2", sliding_window=64),
    _decoder(
        "qwen3_next",
        "Qwen3Next",
        linear_key_head_dim=8,
        linear_value_head_dim=8,
        linear_num_key_heads=2,
        linear_num_value_heads=2,
        shared_expert_intermediate_size=32,
        layer_types=["linear_attention", "full_attention"],
        **MOE,
    ),
    Kind(
        "qwen3_5_text",
        "Qwen3_5TextConfig",
        "Qwen3_5ForCausalLM",
        True,
        {
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 2,
            "layer_types": ["linear_attention", "full_attention"],
        },
    ),
    _encoder(
        "distilbert",
        "DistilBert",
        dim=32,
        hidden_dim=64,
        n_layers=2,
        n_heads=4,
        drop=tuple(key for key in SHAPE if key != "max_position_embeddings"),
    ),
    _encoder("bert", "Bert"),
    _encoder("roberta", "Roberta", max_position_embeddings=514),
    _encoder("xlm-roberta", "XLMRoberta", max_position_embeddings=514),
    _encoder("electra", "Electra", "ForPreTraining", embedding_size=32),
    _encoder("albert", "Albert", embedding_size=16),
    _encoder("deberta-v2", "DebertaV2", relative_attention=True, position_buckets=32, pos_att_type=["p2c", "c2p"]),
    _encoder("modernbert", "ModernBert", pad_token_id=0, local_attention=64),
    _encoder("mpnet", "MPNet", max_position_embeddings=514),
    _encoder("longformer", "Longformer", attention_window=[32, 32], max_position_embeddings=514),
    _encoder("xlnet", "XLNet", "LMHeadModel", d_model=32, n_layer=2, n_head=4, d_inner=64, drop=tuple(SHAPE)),
    _encoder("t5", "T5", "EncoderModel", d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, drop=tuple(SHAPE)),
    _encoder("nomic_bert", "NomicBert", "Model"),
    _encoder("eurobert", "EuroBert"),
)


def write(kind: Kind, folder: Path) -> Path:
    """A random model of `kind` in `folder`, with the tokenizer of a shipped tiny model; the same at each call."""
    import torch
    import transformers

    source = tiny.MODELS_FOLDER / ("mistral" if kind.decoder else "distilbert")
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    shape = {key: value for key, value in SHAPE.items() if key not in kind.drop} | kind.more
    special = {
        name: getattr(tokenizer, name)
        for name in ("bos_token_id", "eos_token_id", *(("pad_token_id",) if not kind.decoder else ()))
        if getattr(tokenizer, name) is not None
    }
    torch.manual_seed(7)
    config = getattr(transformers, kind.config)(vocab_size=len(tokenizer), **(special | shape))
    model = getattr(transformers, kind.model)(config).float()
    model.save_pretrained(folder)
    for file in source.iterdir():
        if file.name.startswith(("tokenizer", "chat_template", "special", "vocab")):
            shutil.copy(file, folder)
    return folder


# -- jobs ---------------------------------------------------------------------------------------------------

DATA = {"data.train": 24, "data.validation": 8, "data.test": 8}
TUNING = {"training.epochs": 1, "training.max_length": 48, "training.warmup_steps": 1}
JOBS: dict[str, tuple[str, dict[str, Any]]] = {
    "likelihood": ("prompting", {"prompt.max_length": 48}),
    "shots": ("prompting", {"prompt.max_length": 48, "prompt.shots": 1, "prompt.example_length": 16}),
    "generate": ("prompting", {"prompt.max_length": 48, "prompt.method": "generate"}),
    "untrained head": ("prompting", {"prompt.max_length": 48, "prompt.method": "untrained_head"}),
    "qlora float32": ("qlora", {**TUNING, "precision": "float32", "lora.rank": 4, "training.batch_size": 2}),
    "qlora nf4": ("qlora", {**TUNING, "precision": "nf4", "lora.rank": 4, "training.batch_size": 2}),
    "loop": ("finetune_loop", {**TUNING, "training.batch_size": 8}),
    "trainer": ("finetune_trainer", {**TUNING, "training.batch_size": 8}),
    "frozen": ("frozen_features", {"features.max_length": 48}),
}


@dataclass(frozen=True)
class Cell:
    """What came of one job on one kind of model."""

    outcome: str
    sentence: str = ""  # of a refusal or crash


def attempt(work: Callable[[], object]) -> Cell:
    """Do it; a `UserError` is a refusal, anything else a crash."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            work()
    except UserError as error:
        return Cell(REFUSED, str(error))
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return Cell(CRASHED, f"{type(error).__name__}: {str(error)[:200]} ({Path(place.filename).name}:{place.lineno})")
    return Cell(WORKS)


def run_job(home: Home, model: Path, engine: str, settings: dict[str, Any]) -> None:
    """One engine on one model, from data to scores and back from `model/`, in this process."""
    overrides = {"model.name": str(model), **DATA, **settings}
    experiment = catalog.from_document({"engine": engine}, place=engine, name=engine, overrides=overrides)
    folder = RunFolder.create(home, experiment.document())
    report = Reporter(folder)
    try:
        catalog.engine(engine).run(experiment.config, report)
        report.finished()
    finally:
        report.close()
    answers = catalog.engine(engine).load(folder, "cpu").classify(["A dull film, and far too long.", "Superb."])
    if len(answers) != 2:
        raise RuntimeError(f"{len(answers)} answers to 2 texts")


def estimate(model: Path, engine: str) -> None:
    from engines.memory.estimate import estimate_peak

    settings = {"model.name": str(model), "data.source": "quickstart"}
    experiment = catalog.from_document({"engine": engine}, place=engine, name=engine, overrides=settings)
    if estimate_peak(experiment, device="cuda").total_bytes <= 0:
        raise RuntimeError("the estimate is nothing")


def row(kind: Kind) -> dict[str, Cell]:
    """Every job on one kind of model."""
    with tempfile.TemporaryDirectory(prefix="labtui-matrix-") as place:
        model, home = Path(place) / kind.name, Home(Path(place) / "home")
        with quiet():
            made = attempt(lambda: write(kind, model))
            if made.outcome != WORKS:
                return {"(model)": made}
            cells = {name: attempt(lambda job=job: run_job(home, model, *job)) for name, job in JOBS.items()}  # type: ignore[misc]
        cells["estimate"] = attempt(lambda: estimate(model, "qlora" if kind.decoder else "finetune_loop"))
        return cells


@contextmanager
def quiet() -> Iterator[None]:
    """Without what libraries log."""
    import logging

    from transformers.utils import logging as progress

    progress.disable_progress_bar()
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def table(rows: dict[str, dict[str, Cell]]) -> str:
    """The matrix as Markdown: "+" works, "–" is refused, "crash" is a fault; refusals as notes below."""
    jobs = [*JOBS, "estimate"]
    sign = {WORKS: "+", REFUSED: "–", CRASHED: "**crash**"}
    lines = ["| architecture | " + " | ".join(jobs) + " |", "|---" * (len(jobs) + 1) + "|"]
    for name, cells in rows.items():
        lines.append(
            f"| {name} | " + " | ".join(sign[cells[job].outcome] if job in cells else "?" for job in jobs) + " |"
        )
    every = [cell for cells in rows.values() for cell in cells.values()]
    counts = ", ".join(f"{sum(c.outcome == outcome for c in every)} {outcome}" for outcome in (WORKS, REFUSED, CRASHED))
    return "\n".join([*lines, "", f"{len(rows)} architectures: {counts}."])


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.model_matrix", description=__doc__)
    parser.add_argument("names", nargs="*", help="architectures; all of them without")
    parser.add_argument("--json", type=Path, help="write the cells there too")
    arguments = parser.parse_args(argv)
    known = {kind.name: kind for kind in KINDS}
    if unknown := [name for name in arguments.names if name not in known]:
        parser.error(f"no such architecture: {', '.join(unknown)}; there is {', '.join(known)}")
    rows = {}
    for name in arguments.names or known:
        rows[name] = row(known[name])
        for job, cell in rows[name].items():
            if cell.outcome != WORKS:
                say(f"{name:14} {job:15} {cell.outcome}: {cell.sentence}")
    document = {
        "machine": machine(("torch", "transformers", "peft", "trl", "bitsandbytes")),
        "cells": {name: {job: vars(cell) for job, cell in cells.items()} for name, cells in rows.items()},
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    sys.stdout.write(table(rows) + "\n")
    if not arguments.names:
        page = PAGE.read_text(encoding="utf-8")
        head, _, rest = page.partition(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n{table(rows)}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
