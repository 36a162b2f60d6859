"""Tiny random language models with a tokenizer of their own, as folders."""

from pathlib import Path
from typing import Any

from engines.data import corpus

CHAT = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
    "{% else %} {{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)
"""The chat form of Mistral's first instruct models."""


def tokenizer(chat: bool) -> Any:
    """Byte pairs learned from the corpus; texts begin with <s>."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    found = Tokenizer(models.BPE())
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    found.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=["<pad>", "<s>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    words = "negative positive Review Sentiment Classify the sentiment of [INST] [/INST] "
    found.train_from_iterator([r.text for r in corpus.generate(200, seed=3)] + [words] * 50, trainer)
    found.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=found,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        chat_template=CHAT if chat else None,
    )


def write(folder: Path, kind: str, chat: bool = False, **more: Any) -> Path:
    """A random `kind` ("mistral" or "gemma") of two layers in `folder`."""
    import torch
    from transformers import GemmaConfig, GemmaForCausalLM, MistralConfig, MistralForCausalLM

    words = tokenizer(chat)
    shape: dict[str, Any] = {
        "vocab_size": len(words),
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 32,
        "max_position_embeddings": 256,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "initializer_range": 0.1,
    }
    classes = {"mistral": (MistralConfig, MistralForCausalLM), "gemma": (GemmaConfig, GemmaForCausalLM)}
    make_config, make_model = classes[kind]
    torch.manual_seed(1)
    make_model(make_config(**(shape | more))).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
