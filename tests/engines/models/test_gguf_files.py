"""Models in GGUF files, written by the library of the format's authors."""

from pathlib import Path
from typing import Any

import gguf
import pytest
import torch

from engines.errors import ModelError
from engines.models.location import Model, locate
from engines.models.opening import load_model
from tests.engines.conftest import Recorder
from tests.support import language_models

TOKENS = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}


def write(path: Path, quantised: bool) -> Any:
    """A random Qwen2 of one layer as GGUF; the model it is made of."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    words = language_models.tokenizer(False)
    torch.manual_seed(5)
    config = Qwen2Config(
        vocab_size=len(words),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=256,
        tie_word_embeddings=False,
    )
    model = Qwen2ForCausalLM(config).eval()
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_context_length(256)
    writer.add_embedding_length(64)
    writer.add_block_count(1)
    writer.add_feed_forward_length(96)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    positions: Any = config.rope_parameters
    writer.add_rope_freq_base(positions["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_tokenizer_model("gpt2")
    vocabulary = sorted(words.get_vocab(), key=words.get_vocab().__getitem__)
    writer.add_token_list(vocabulary)
    writer.add_token_types([3 if token.startswith("<") and token.endswith(">") else 1 for token in vocabulary])
    import json

    merges = json.loads(words.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    state = model.state_dict()
    for name, values in state.items():
        for short, long in TOKENS.items():
            base = name.replace("model.layers.0.", "")
            if base.rpartition(".")[0] == long:
                prefix = "blk.0." if "layers.0" in name else ""
                data = values.float().numpy()
                kind = gguf.GGMLQuantizationType.Q8_0 if quantised and data.ndim == 2 else None
                if kind is not None:
                    data = gguf.quants.quantize(data, kind)
                writer.add_tensor(f"{prefix}{short}.{base.rpartition('.')[2]}", data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


@pytest.mark.parametrize("quantised", [False, True])
def test_a_gguf_file_is_dequantised_once_into_a_model_that_answers_alike(
    tmp_path: Path, recorder: Recorder, quantised: bool
) -> None:
    original = write(tmp_path / "mine.gguf", quantised)
    folder = locate(Model(str(tmp_path / "mine.gguf")), recorder.report)
    again = locate(Model(str(tmp_path / "mine.gguf")), recorder.report)
    assert again == folder and recorder.notes.count("dequantised once") == 1
    model, words = load_model(folder, "float32", "cpu")
    ids = torch.tensor([words("A dull film.")["input_ids"]])
    with torch.inference_mode():
        a, b = (m(ids).logits.log_softmax(-1) for m in (original, model))
    assert (a - b).abs().max() < (0.1 if quantised else 0.05)


def test_what_is_no_gguf_file_is_refused(tmp_path: Path, recorder: Recorder) -> None:
    (tmp_path / "a.gguf").write_bytes(b"<html>")
    with pytest.raises(ModelError, match="is no GGUF file, or cut off"):
        locate(Model(str(tmp_path / "a.gguf")), recorder.report)
    with pytest.raises(ModelError, match="no such file"):
        locate(Model(str(tmp_path / "b.gguf")), recorder.report)
