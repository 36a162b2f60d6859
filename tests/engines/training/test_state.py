import copy
import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from engines.runs import events as ev
from engines.training import checkpoints
from engines.training.state import TrainingState, flattened, unflattened
from tests.engines.conftest import Recorder


def test_a_nested_optimiser_state_with_shared_tensors_and_numbers_comes_back(tmp_path: Path) -> None:
    shared = torch.arange(4.0)
    states: dict[int, Any] = {
        n: {"step": n + 3, "inner": {"state1": torch.full((2, 2), n), "map": shared}} for n in range(2)
    }
    save_file(flattened(states), tmp_path / "state.safetensors")
    state = unflattened(load_file(tmp_path / "state.safetensors"))
    assert [state[n]["step"] for n in range(2)] == [3, 4]
    for n in range(2):
        assert torch.equal(state[n]["inner"]["map"], shared)
        assert torch.equal(state[n]["inner"]["state1"], states[n]["inner"]["state1"])


class PagedMomentum(torch.optim.Optimizer):
    """As optimisers of bitsandbytes with paged state are: buffers come from a memory of their own."""

    is_paged = True

    def __init__(self, weights: Any) -> None:
        super().__init__(weights, {"lr": 0.1})
        self.paged: list[torch.Tensor] = []

    def get_state_buffer(self, weight: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        self.paged.append(torch.zeros_like(weight, dtype=dtype))
        return self.paged[-1]

    def add_one(self) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                if "state1" not in self.state[weight]:
                    self.state[weight]["state1"] = self.get_state_buffer(weight, torch.float32)
                self.state[weight]["state1"].add_(1)


class WeightsOfModel:
    def __init__(self, model: torch.nn.Module) -> None:
        self._model = model

    def save(self, file: Path) -> None:
        save_file(dict(self._model.named_parameters()), file)

    def load(self, file: Path) -> None:
        self._model.load_state_dict(load_file(file))


def test_a_restored_paged_state_is_in_paged_memory_when_the_next_step_begins(recorder: Recorder) -> None:
    recorder.folder.splits.write_text("{}")

    def made() -> tuple[torch.nn.Module, PagedMomentum, TrainingState]:
        model = torch.nn.Linear(2, 2)
        optimizer = PagedMomentum(model.parameters())
        return model, optimizer, TrainingState(model, WeightsOfModel(model), optimizer, recorder.report, seed=0)

    _, optimizer, state = made()
    optimizer.add_one()
    state.save()
    model, optimizer, state = made()
    state.restore("reviews.csv")
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))  # so accelerate takes a trainer's optimiser over
    assert not optimizer.paged
    state.enter()
    for weight in model.parameters():
        buffer = optimizer.state[weight]["state1"]
        assert any(buffer is paged for paged in optimizer.paged) and torch.equal(buffer, torch.ones_like(weight))


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """No file of this process grows larger, as on a disk without room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_checkpoint_that_does_not_fit_keeps_the_last_one_and_the_next_is_tried(recorder: Recorder) -> None:
    recorder.folder.splits.write_text("{}")
    model = torch.nn.Linear(200, 100)
    state = TrainingState(model, WeightsOfModel(model), torch.optim.SGD(model.parameters()), recorder.report, 0)
    state.at.step = 1
    with files_of_at_most(20_000):
        state.save()
    assert checkpoints.newest_complete(recorder.folder.checkpoints) is None
    state.save()
    first = checkpoints.newest_complete(recorder.folder.checkpoints)
    assert first is not None and first.name.endswith("step-1")
    state.at.step = state.at.best_step = 2
    with files_of_at_most(20_000):
        state.save()
    assert checkpoints.newest_complete(recorder.folder.checkpoints) == first
    assert [path.name for path in recorder.folder.checkpoints.iterdir()] == [first.name]
    state.at.step = 3
    state.save()
    state.load_best_weights()
    notes = [note.text for note in recorder.events(ev.Note) if note.level == "warning"]
    assert [note.partition(":")[0] for note in notes[:2]] == ["step 1", "step 2"]
    assert "there is none yet" in notes[0] and f"{first.name} stays the last one" in notes[1]
    assert notes[2] == "the best model, that of step 2, could not be saved; the last one is taken"
    assert state.at.best_step == 0


def test_another_fault_than_lack_of_room_ends_the_training(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder.folder.splits.write_text("{}")
    model = torch.nn.Linear(2, 1)
    state = TrainingState(model, WeightsOfModel(model), torch.optim.SGD(model.parameters()), recorder.report, 0)

    def ill(*args: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(checkpoints, "write", ill)
    with pytest.raises(OSError, match="Input/output error"):
        state.save()
