import pytest
from msgspec.structs import replace

from engines.runs import events as ev
from engines.runs.home import Home
from engines.runs.scores import Scores
from engines.runs.summary import FAILED, FINISHED, LOST, summarize
from labtui.narrate import describe, narrate, sentence
from tests.labtui.fabric import MATRIX, finished, make_run, started, steps, validated

REPEAT = ev.Repeat(0, "template", "plain", Scores(accuracy=0.5), ["negative", "positive"], MATRIX)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (ev.Queued(["GPU-1", "GPU-2"], 3), "queued: 3 ahead on GPU-1, GPU-2"),
        (ev.Started("cpu", "0", {}, 7), "started on cpu, seed 7"),
        (ev.Resumed(40), "resumed from step 40"),
        (ev.Phase("download", 3 << 20, "bytes"), "download: 3.0 MiB"),
        (ev.Phase("load"), "load"),
        (steps(3, 3)[0], "step 3/100  epoch 0.03  loss 0.3333  80.0 items/s"),
        (validated(10), "validation: accuracy 0.850, loss 0.4000 on 100 items"),
        (REPEAT, "repeat 1 (template plain): accuracy 0.500"),
        (replace(REPEAT, varied="nothing", value=""), "repeat 1: accuracy 0.500"),
        (ev.Note("be careful\x1b[31m", "warning"), "warning: be careful"),
        (ev.Dropped(1200, "no_label", "a.csv\x1b[2J"), "a.csv: 1,200 rows without a label are left out"),
        (ev.Truncated("train", 30, 48, 512), "30 of 48 train texts are truncated to 512 tokens"),
        (ev.Selected(12, "validation", "accuracy", 0.7), "selected: the model of step 12, validation accuracy 0.7000"),
        (
            ev.Untrained("head"),
            "warning: UNTRAINED HEAD: the weights that answer were drawn at random and never trained; their accuracy "
            "says nothing about the model",
        ),
        (
            ev.Overlap("test", "train", 3, dropped=5, dropped_from="train"),
            "warning: 3 test items are found in training as well; 5 training items are left out",
        ),
        (
            ev.Overlap("test", "train", 3, run="a-1f2e"),
            "warning: 3 test items are found in training of a-1f2e as well, allowed by data.overlap",
        ),
        (
            ev.Overlap("test", "train", 3, near=True),
            'warning: 3 test items are nearly found in training as well; data.near_copies = "drop" takes those out of '
            "training",
        ),
        (ev.Dropped(1, "empty_text", "a.csv"), "a.csv: 1 row without a text is left out"),
        (ev.Overlap("validation", "train", 3), "warning: 3 validation items are found in training as well"),
        (
            ev.Overlap("test", "train", None, run="a-1f2e"),
            "warning: whether test items are found in training of a-1f2e is not known: no record of it is left",
        ),
        (
            ev.Adjusted("out_of_memory", {"training.batch_size": 2}, {"training.batch_size": 1}),
            "warning: out of memory with training.batch_size = 2: a fresh process goes on from the last checkpoint "
            "with training.batch_size = 1",
        ),
        (ev.Failed("MemoryError", "out of memory", "", "lower it"), "failed: out of memory (lower it)"),
    ],
)
def test_an_event_is_a_sentence_that_cannot_steer_the_terminal(event: ev.Event, words: str) -> None:
    assert sentence(event) == words


def test_a_loss_that_is_no_number_is_narrated() -> None:
    assert "loss nan" in sentence(ev.Step(1, 2, 0.5, float("nan"), 1e-4))


def test_a_run_that_has_ended_is_told_to_its_end(home: Home) -> None:
    said: list[str] = []
    assert narrate(make_run(home, *started(), *steps(1, 30), finished()), said.append) == FINISHED
    assert "started on cpu" in said[1] and said[-1].endswith("finished after 0:12")
    assert sum("step " in line for line in said) == 1, "steps come every few seconds, not all"


def test_a_lost_run_is_said_to_be_lost_and_where_its_log_is(home: Home) -> None:
    said: list[str] = []
    folder = make_run(home, *started(), *steps(1, 2))
    assert narrate(folder, said.append) == LOST and str(folder.log) in said[-1]


def test_a_failed_run_is_described_with_its_traceback_and_its_settings(home: Home) -> None:
    failed = ev.Failed("ValueError", "no luck", "Traceback\n  line 1\x1b[2J")
    folder = make_run(home, *started(), failed, training={"epochs": 2})
    lines = list(describe(summarize(folder)))
    assert f"state     {FAILED}" in lines and any(line.split() == ["training.epochs", "2"] for line in lines)
    assert lines[-3:] == ["traceback", "  Traceback", "    line 1"]


@pytest.mark.parametrize(("total_bytes", "of"), [(16 << 30, " of 16.0 GiB"), (None, "")])
def test_a_worker_that_died_without_a_word_is_told_with_its_memory(
    home: Home, total_bytes: int | None, of: str
) -> None:
    began = ev.Started("cpu", "", {}, host_memory_total_bytes=total_bytes)
    folder = make_run(home, began, ev.Progress("test", 1, host_memory_bytes=12 << 30))
    said: list[str] = []
    assert narrate(folder, said.append) == "lost"
    assert f"most often the machine ran out of memory: last seen 12.0 GiB{of}; see " in said[-1]
