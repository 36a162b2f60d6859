"""The GPU benchmark in small: the same parts on the CPU, and what it does when it is short of memory or time."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks import gpu
from benchmarks.drawn import write_model
from benchmarks.gpu import PARTS, Part, Place
from engines.reporter import Restart
from engines.runs import events as ev
from engines.training.adapter_tuning import AdapterTuning


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """gpu.json of a small run over all parts, in two commands."""
    first = ["mistral-lora", "gemma-qlora-15gb", "mistral-few-shot"]
    output = tmp_path_factory.mktemp("output")
    environment = pytest.MonkeyPatch()
    environment.setenv("HF_HUB_OFFLINE", "1")  # as the command sets it
    try:
        gpu.main([*first, "--small", "--output", str(output)])
        gpu.main([*(part.name for part in PARTS if part.name not in first), "--small", "--output", str(output)])
    finally:
        environment.undo()
    assert "| mistral-lora | bf16 |" in (output / "gpu.md").read_text()
    document: dict[str, Any] = json.loads((output / "gpu.json").read_bytes())
    return document


def test_parts_of_two_commands_stand_in_one_file_without_errors(figures: dict[str, Any]) -> None:
    assert {"torch", "transformers", "trl", "peft", "bitsandbytes"} <= figures["machine"].keys()
    assert figures["parts"].keys() == {part.name for part in PARTS}
    for name, part in figures["parts"].items():
        assert "error" not in part and "skipped" not in part, (name, part)
        assert part["date"] and part["flops_per_s"] > 0 and "utilisation" not in part, "a CPU has no known peak"
        assert all(each["peak_bytes"] > 1 << 20 for each in part["memory"].values())


def test_training_is_by_the_engine_with_the_settings_of_the_part(figures: dict[str, Any]) -> None:
    plain, quantised = figures["parts"]["mistral-lora"], figures["parts"]["gemma-qlora-15gb"]
    assert (plain["precision"], plain["micro_batch"], plain["accumulation"]) == ("bf16", 8, 1)
    assert (quantised["precision"], quantised["micro_batch"], quantised["accumulation"]) == ("nf4", 1, 4)
    assert quantised["activation_checkpointing"] and not plain["activation_checkpointing"]
    assert quantised["allocator_cap_bytes"] == 15_000_000_000 and quantised["restarts"] == []
    for part in (plain, quantised):
        assert part["steps"] >= 1 and 64 < part["tokens_per_row"] < 128, "the review cut to 64 tokens, and the prompt"
        # 4 a weight of the blocks for each token, and a little for the answers' logits
        blocks = part["tokens_per_s"] * 4 * 2 * (3 * 64 * 128 + 2 * 64 * 64)
        assert blocks < part["flops_per_s"] < 3 * blocks


def test_scoring_counts_the_reviews_tokens_and_tells_the_whole_evaluation(figures: dict[str, Any]) -> None:
    few, zero = figures["parts"]["mistral-few-shot"], figures["parts"]["gemma-zero-shot"]
    assert (few["examples"], zero["examples"]) == (8, 0) and few["shared_tokens"] > 8 * 16 > zero["shared_tokens"]
    for part in (few, zero):
        assert part["items"] == 24 and part["tokens"] < 24 * 128
        assert part["evaluation_s"] >= part["seconds"] and part["evaluation_2500_s"] > part["evaluation_s"]
        weights = part["flops_per_s"] / part["tokens_per_s"] / 2
        assert weights == pytest.approx(2 * (3 * 64 * 128 + (2 * 64 + 2 * (32 if part is few else 16)) * 64))


def test_the_encoder_is_held_against_the_studys_loop(figures: dict[str, Any]) -> None:
    part = figures["parts"]["distilbert"]
    assert part["ratio"]["pairs"] == [round(part["ours_items_per_s"][0] / part["study_items_per_s"][0], 3)]


def test_out_of_memory_begins_anew_with_the_smaller_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path, small=True)
    part = Part(
        "ladder", "tune", "mistral", {"precision": "float32", "training.batch_size": 8, "training.accumulation": 1}
    )
    write_model(place.model(part), "mistral", small=True)
    train = AdapterTuning.train

    def full(task: Any) -> None:
        if task.config.training.batch_size > 2:
            raise task.smaller_batch()
        train(task)

    class Anew(Exception):
        pass

    def execv(program: str, argv: list[str]) -> None:
        assert argv[1:3] == ["-m", "benchmarks.gpu"]
        raise Anew

    monkeypatch.setattr(AdapterTuning, "train", full)
    monkeypatch.setattr(os, "execv", execv)
    for _ in range(2):
        with pytest.raises(Anew):
            gpu.tune(part, place)
    tuned = gpu.tune(part, place)
    assert (tuned["micro_batch"], tuned["accumulation"]) == (2, 4) and tuned["memory"]["score"]["peak_bytes"] > 0
    assert [restart["before"]["training.batch_size"] for restart in tuned["restarts"]] == [8, 4]


def test_what_fails_or_no_longer_fits_is_said_and_figures_from_before_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(part: Part, place: Place) -> dict[str, Any]:
        raise RuntimeError("no such kernel\nmore")

    monkeypatch.setitem(gpu.WORK, "tune", fails)
    assert gpu.measure(PARTS[0], Place(tmp_path, small=True)) == {"error": "RuntimeError: no such kernel"}
    found: dict[str, Any] = {"machine": {}, "parts": {"mistral-zero-shot": {"flops_per_s": 1.0}}}
    gpu.run(Place(tmp_path, small=False), list(PARTS[:2]), 0.1, found, lambda: None)
    assert found["parts"]["mistral-lora"]["skipped"].endswith("it needs some 45")
    assert found["parts"]["mistral-zero-shot"] == {"flops_per_s": 1.0}
    assert "| mistral-lora | 6 s were left" in gpu.text(
        {"machine": {}, "parts": {"mistral-lora": found["parts"]["mistral-lora"]}}
    )


def test_a_card_is_known_by_the_first_name_that_stands_in_its_own() -> None:
    assert gpu.peak_flops_per_s("NVIDIA H100 80GB HBM3") == 989e12
    assert gpu.peak_flops_per_s("NVIDIA H100 PCIe") == 756e12
    assert gpu.peak_flops_per_s("NVIDIA L40S") == 362e12 and gpu.peak_flops_per_s("NVIDIA L4") == 121e12
    assert gpu.peak_flops_per_s("NVIDIA GeForce GTX 1080") is None and gpu.peak_flops_per_s("") is None


def test_a_restart_is_no_failure_of_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def restarts(part: Part, place: Place) -> dict[str, Any]:
        raise Restart(ev.Adjusted("out_of_memory", {}, {}))

    monkeypatch.setitem(gpu.WORK, "tune", restarts)
    with pytest.raises(Restart):
        gpu.measure(PARTS[0], Place(tmp_path, small=True))
