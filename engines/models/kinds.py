"""Kinds of models, by the model type of their config, and what a kind can and cannot do."""

import json
from pathlib import Path
from typing import Any

OFFSET_POSITIONS = (
    "camembert",
    "data2vec-text",
    "esm",
    "ibert",
    "longformer",
    "luke",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
)
"""Kinds that number positions from behind the padding's: of 514 positions 512 hold tokens."""
NO_CLASSIFIER = ("t5", "mt5", "umt5", "longt5")
"""Kinds whose sequence classifier reads the decoder's end-of-text token: as encoders they give features alone."""


def read_kind(path: Path) -> str:
    """The model type that a folder's config names; "" where there is none."""
    try:
        return str(json.loads((path / "config.json").read_bytes()).get("model_type", ""))
    except (OSError, ValueError, AttributeError, RecursionError):
        return ""


def usable_positions(config: Any) -> int | None:
    """The most tokens that a model reads, special ones included; None where its positions have no end."""
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    positions = getattr(text, "max_position_embeddings", None)
    if not isinstance(positions, int) or positions <= 0 or text.model_type in NO_CLASSIFIER:
        return None
    if text.model_type in OFFSET_POSITIONS:
        padding = getattr(text, "pad_token_id", None)
        return positions - (padding if isinstance(padding, int) else 1) - 1
    return positions


def needs_own_code(path: Path) -> bool:
    """Whether a model in `path` is of a kind that only the code beside it can open."""
    from transformers import CONFIG_MAPPING

    try:
        config = json.loads((path / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(config, dict) and "auto_map" in config and config.get("model_type") not in CONFIG_MAPPING
