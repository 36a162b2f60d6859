"""What the next optimiser step depends on, and its way into checkpoints and back."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from engines.errors import UserError, lacks_room, reason_of
from engines.reporter import Reporter
from engines.runs.writing import sha256
from engines.settings import flatten
from engines.training import checkpoints

if TYPE_CHECKING:
    import torch


@dataclass
class Position:
    """Where a training stands: what a checkpoint holds beside the tensors."""

    step: int = 0  # optimiser steps done
    validated: int = 0  # step of the last validation
    best_step: int = 0  # step of the best validation, 0 before the first
    best_accuracy: float = -1.0
    best_loss: float = 0.0
    splits_sha256: str = ""  # of the splits.jsonl that the training reads


class Weights(Protocol):
    """The weights that a training changes."""

    def save(self, file: Path) -> None:
        """Write them as safetensors."""

    def load(self, file: Path) -> None:
        """Put those of a file into the model."""


class TrainingState:
    """Position, weights, optimiser and random state of a training, kept in the checkpoints of its run."""

    def __init__(self, model: Any, weights: Weights, optimizer: Any, report: Reporter, seed: int) -> None:
        import torch

        self.at = Position(splits_sha256=sha256(report.folder.splits))
        self._model, self._weights, self._optimizer, self._report = model, weights, optimizer, report
        torch.manual_seed(seed)
        self._random = _random_state(report.device)  # with which the next step begins

    def restore(self, source: str) -> None:
        """Take everything from the newest complete checkpoint, if there is one.

        Raises `UserError` where `source`, the training's data, has changed since: what was trained on may be a test
        item now.
        """
        from safetensors.torch import load_file

        def damaged(checkpoint: Path) -> None:
            self._report.note(f"checkpoint {checkpoint.name} is damaged and left out", "warning")

        checkpoint = checkpoints.newest_complete(self._report.folder.checkpoints, damaged)
        if checkpoint is None:
            return
        position = Position(**json.loads((checkpoint / "position.json").read_bytes()))
        if position.splits_sha256 != self.at.splits_sha256:
            raise UserError(f"{source} has changed since checkpoint {checkpoint.name}; start a new run")
        self._weights.load(checkpoint / "model.safetensors")
        state = unflattened(load_file(checkpoint / "optimizer.safetensors", device=self._report.device))
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": state})
        self._random = load_file(checkpoint / "random.safetensors")
        self.at = position
        self._report.resumed(self.at.step)

    def enter(self) -> None:
        """Make model, optimiser and random numbers ready for the next step; call it last before that step."""
        import torch

        self._model.train()
        _put_in_paged_memory(self._optimizer)
        torch.set_rng_state(self._random["cpu"])
        if "cuda" in self._random:
            torch.cuda.set_rng_state(self._random["cuda"])

    def save(self) -> None:
        """Write a checkpoint of this step, and remove those that are no longer needed.

        Where the disk has no room for it, say so and go on with those that are there.
        """
        from safetensors.torch import save_file

        def fill(folder: Path) -> None:
            self._weights.save(folder / "model.safetensors")
            save_file(flattened(self._optimizer.state_dict()["state"]), folder / "optimizer.safetensors")
            save_file(_random_state(self._report.device), folder / "random.safetensors")
            (folder / "position.json").write_text(json.dumps(asdict(self.at)))

        run = self._report.folder
        try:
            checkpoint = checkpoints.write(run.checkpoints, self.at.step, fill)
        except Exception as error:
            if not lacks_room(error):
                raise
            last = checkpoints.newest_complete(run.checkpoints)
            kept = f"{last.name} stays the last one" if last else "there is none yet"
            why = f"step {self.at.step}: no room for a checkpoint ({reason_of(error)})"
            self._report.note(f"{why}; {kept}, training goes on, and the next one is tried in its time", "warning")
            return
        size_bytes = checkpoints.size_bytes(checkpoint)
        self._report.checkpoint(self.at.step, str(checkpoint.relative_to(run.path)), size_bytes)
        checkpoints.prune(run.checkpoints, self.at.best_step)

    def load_best_weights(self) -> None:
        """Go back to the weights of the best validation; where they could not be saved, say so and stay.

        Raises `UserError` where their checkpoint is damaged.
        """
        folder, at = self._report.folder.checkpoints, self.at
        if not 0 < at.best_step < at.step:
            return
        if not checkpoints.is_there(folder, at.best_step):  # it found no room on the disk
            self._report.note(
                f"the best model, that of step {at.best_step}, could not be saved; the last one is taken", "warning"
            )
            at.best_step = 0
            return
        best = checkpoints.of_step(folder, at.best_step)
        if best is None:
            raise UserError(f"{folder}: the best checkpoint, of step {at.best_step}, is damaged; start a new run")
        self._weights.load(best / "model.safetensors")


def _random_state(device: str) -> "dict[str, torch.Tensor]":
    import torch

    state = {"cpu": torch.get_rng_state()}
    if device != "cpu":
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def _put_in_paged_memory(optimizer: Any) -> None:
    """Put a restored state of a paged optimiser back into paged memory: loading has made plain tensors of it.

    Whoever copies the state to the device, as accelerate does when it takes an optimiser over, does so as well.
    """
    if not getattr(optimizer, "is_paged", False):
        return
    for weight, state in optimizer.state.items():
        for name in ("state1", "state2"):
            if name in state and not getattr(state[name], "is_paged", False):
                buffer = optimizer.get_state_buffer(weight, dtype=state[name].dtype)
                state[name] = buffer.copy_(state[name])


def flattened(state: dict[Any, Any]) -> "dict[str, torch.Tensor]":
    """An optimiser's state as flat tensors, none in another's memory, as safetensors wants them.

    A plain number becomes a tensor without dimensions, its name marked by "#".
    """
    import torch

    flat: dict[str, torch.Tensor] = {}
    places: set[int] = set()
    for name, value in flatten({str(number): entry for number, entry in state.items()}):
        if not isinstance(value, torch.Tensor):
            flat[f"{name}#"] = torch.tensor(value)
            continue
        flat[name] = value.detach().clone() if value.data_ptr() in places else value.detach().contiguous()
        places.add(value.data_ptr())
    return flat


def unflattened(tensors: "dict[str, torch.Tensor]") -> dict[int, Any]:
    """The inverse of `flattened`."""
    state: dict[int, Any] = {}
    for name, value in tensors.items():
        number, *path, leaf = name.split(".")
        place = state.setdefault(int(number), {})
        for part in path:
            place = place.setdefault(part, {})
        place[leaf.removesuffix("#")] = value.item() if leaf.endswith("#") else value
    return state
