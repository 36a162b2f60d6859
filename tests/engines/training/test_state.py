from pathlib import Path
from typing import Any

import torch

from engines.training.state import flattened, unflattened


def test_a_nested_optimiser_state_with_shared_tensors_and_numbers_comes_back(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

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
