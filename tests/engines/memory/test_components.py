from dataclasses import replace

import pytest

from engines import catalog
from engines.catalog import Experiment
from engines.data.splits import Data
from engines.errors import UserError
from engines.memory.components import Machine
from engines.memory.estimate import estimate_peak
from engines.models.architectures import architecture
from engines.prompts.likelihood import Batches
from engines.training.course import Training
from engines.training.encoder import Config


@pytest.mark.parametrize("name", catalog.engine_names())
def test_every_engine_says_what_memory_it_needs(name: str) -> None:
    assert callable(catalog.engine(name).memory_needs)


def test_an_engine_that_does_not_say_is_not_estimated() -> None:
    silent = Experiment("test", "finetune_loop", "", "", Config(), frozenset())
    module = catalog.engine("finetune_loop")
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(module, "memory_needs")
        with pytest.raises(UserError, match='engine = "finetune_loop": its memory is not estimated'):
            estimate_peak(silent)


def test_reviews_are_counted_by_the_size_of_their_source() -> None:
    data = Data(train=0.5, validation=100, test=0.25)
    assert data.expected_reviews("train", "validation", "test") == 2000 + 100 + 1000
    assert replace(data, source="stanfordnlp/imdb").expected_reviews("train", "test") == 25_000 + 12_500


def test_the_estimated_batch_is_the_one_that_scoring_begins_with() -> None:
    experiment = catalog.read("gemma-2b-zero-shot")
    kv_cache = estimate_peak(experiment).phases["score"]["KV cache"]
    review, shared = 512 + 8, 64
    rows = Batches("cuda").size(review, shared)
    assert kv_cache == 18 * 2 * 256 * 2 * (rows * (shared + review) + shared)


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
    needs = catalog.engine("finetune_loop").memory_needs(settings, Machine("cpu", None, lambda _: counted))
    phase = needs.phases["train"]
    assert phase["activations"] + phase["activations under way"] == pytest.approx(peak, rel=0.15)
