from pathlib import Path

import pytest
import torch

from engines import catalog
from engines.reporter import Reporter
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.training.adapter_tuning import AdapterTuning
from tests.support import language_models


@pytest.mark.parametrize("size", [1, 3])
def test_loss_and_gradients_are_those_of_trl(home: Home, tmp_path: Path, size: int) -> None:
    from trl import SFTTrainer

    folder = language_models.write(tmp_path / "model", "mistral", chat=True)
    settings = {
        "model.name": str(folder),
        "precision": "float32",
        "data.train": 12,
        "data.validation": 0,
        "data.test": 4,
        "training.batch_size": size,
        "training.accumulation": 1,
        "training.max_length": 24,
        "lora.dropout": 0.0,
    }
    experiment = catalog.from_document({"engine": "qlora"}, place="test", name="t", overrides=settings)
    report = Reporter(RunFolder.create(home, experiment.document()))
    task = AdapterTuning(experiment.config, report)
    rows = list(range(3))
    table, step = task.prompted.rows["train"], task.step(rows)
    width = max(table.lengths[n] for n in rows)
    assert len({table.lengths[n] for n in rows}) > 1, "some are padded"
    theirs: dict[str, list[list[int]]] = {"input_ids": [], "attention_mask": [], "labels": []}
    for n in rows:
        more = width - table.lengths[n]
        theirs["input_ids"].append(table[n] + [0] * more)
        theirs["attention_mask"].append([1] * table.lengths[n] + [0] * more)
        theirs["labels"].append(table.labels(n) + [-100] * more)

    def gradients() -> dict[str, torch.Tensor]:
        found = {n: p.grad.clone() for n, p in task.model.named_parameters() if p.grad is not None}
        task.model.zero_grad()
        return found

    loss = task.trainer.training_step(task.model, step)
    ours = gradients()
    batch = {name: torch.tensor(values) for name, values in theirs.items()}
    expected = SFTTrainer.compute_loss(task.trainer, task.model, batch, num_items_in_batch=step["answers"])
    expected.backward()
    report.close()
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    for name, gradient in gradients().items():
        torch.testing.assert_close(ours.pop(name), gradient, atol=1e-6, rtol=1e-4)
    assert not ours
