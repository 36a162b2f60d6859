import copy
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from engines.training.state import TrainingState, flattened, unflattened
from tests.engines.conftest import Recorder


def test_a_nested_optimiser_state_with_shared_tensors_and_numbers_comes_back(tmp_path: Path) -> None:
    shared = torch.arange(4.0)
    states: dict[int, Any] = {
        n: {"step": n + 3, "inner": {"state1": torch.full((2, 2), n), "map": shared}} for n in range(2)
    }
    save_file(flattened(states), tmp_path / "state.safetensors")
    found = unflattened(load_file(tmp_path / "state.safetensors"))
    assert [found[n]["step"] for n in range(2)] == [3, 4]
    for n in range(2):
        assert torch.equal(found[n]["inner"]["map"], shared)
        assert torch.equal(found[n]["inner"]["state1"], states[n]["inner"]["state1"])


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
