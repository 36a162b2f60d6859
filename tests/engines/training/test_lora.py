from pathlib import Path

import torch

from engines.models import opening
from engines.prompts.encoding import PromptTokenizer
from engines.prompts.likelihood import Scorer
from engines.prompts.templates import TEMPLATES, Prompt
from engines.prompts.tuning_rows import conversations
from engines.training import lora
from tests.support import language_models

WORDS = ("negative", "positive")


def test_scoring_in_4_bits_leaves_the_gradients_as_they_were(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    folder = language_models.write(tmp_path, "mistral", chat=False)
    prompt_tokenizer, prompt = (
        PromptTokenizer(opening.load_tokenizer(folder), chat=False),
        Prompt(TEMPLATES["classify"], WORDS),
    )
    (ids,), (start,) = conversations(prompt_tokenizer, prompt, ["A superb film, and I was glad to see it."], [1])
    model, _ = lora.load_base(folder, "nf4", "cpu")
    torch.manual_seed(0)
    tuned = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))

    def gradients() -> list[torch.Tensor]:
        tuned.zero_grad()
        labels = torch.tensor([[-100] * (start or 0) + ids[start:]])
        tuned.train()(input_ids=torch.tensor([ids]), labels=labels).loss.backward()
        return [p.grad.clone() for p in tuned.parameters() if p.grad is not None]

    before = gradients()
    Scorer(tuned.eval(), "cpu").score(prompt_tokenizer.encode(prompt, ["A dull film.", "Cheap."]))
    after = gradients()
    assert len(before) == 2 * 7 * 2 and sum(g.abs().max() > 0 for g in before) == 7 * 2, "of every second matrix"
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
