import pytest

from engines import catalog
from engines.data import sources
from engines.memory import needs
from engines.memory.needs import NEEDS, Machine
from engines.models.architectures import architecture
from engines.models.forward import BATCH_TOKENS
from engines.prompts import likelihood
from engines.training.course import Config, Training


def test_what_is_known_of_other_modules_is_what_they_do() -> None:
    assert needs.BATCH_TOKENS == BATCH_TOKENS
    assert needs.QUICKSTART == sources.QUICKSTART
    assert needs.QUICKSTART_REVIEWS == sources.QUICKSTART_REVIEWS
    assert likelihood._CACHED_TOKENS["cuda"] == needs.CACHED_TOKENS


def test_every_engine_has_an_estimate() -> None:
    assert set(catalog.engine_names()) <= set(NEEDS)


def test_the_allocated_peak_of_a_training_step_is_within_15_percent() -> None:
    import torch
    from torch.profiler import ProfilerActivity, profile
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    config = DistilBertConfig(
        vocab_size=97, dim=96, hidden_dim=384, n_heads=4, n_layers=6, attention_dropout=0.0, max_position_embeddings=128
    )
    model = DistilBertForSequenceClassification(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    batch, length = 8, 96
    ids, mask = torch.randint(0, 97, (batch, length)), torch.ones((batch, length), dtype=torch.int64)
    mask[1, 50:] = 0

    def step() -> None:
        model(input_ids=ids, attention_mask=mask, labels=torch.zeros(batch, dtype=torch.int64)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    step()  # makes the optimiser's moments
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    now = peak = 0
    events = (e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]")
    for event in sorted(events, key=lambda e: e.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    settings = Config(training=Training(batch_size=batch, max_length=length))
    counted = architecture(config.to_dict(), "tiny")
    phase = NEEDS["finetune_loop"](settings, Machine("cpu", None, lambda _: counted)).phases["train"]
    assert phase["activations"] + phase["activations under way"] == pytest.approx(peak, rel=0.15)
