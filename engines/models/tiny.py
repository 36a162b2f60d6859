"""The tiny models that ship with the project: real architectures, small enough for two CPU cores.

All are pretrained on the project's own corpus (`engines.data.corpus`) from `PRETRAINING_SEED`: they have met this
kind of review and this question before, though none of the quickstart's texts. Their figures say that the engines
work, not how good such a model is.

- `tiny:distilbert`, a DistilBERT without a head: masked words, and the polarity of opinions and reviews at [CLS].
- `tiny:mistral`, a Mistral with a chat form, and `tiny:gemma`, a Gemma without one: the next token of every prompt
  the project ships, zero-shot and with examples, with most weight on the answers. A language model of this size
  that only learns to continue text answers by chance; and pretraining is short, so that tuning has room.

Rebuild one with `python -m engines.pretraining NAME`.
"""

import difflib
from pathlib import Path

from engines.errors import ModelError

PREFIX = "tiny:"
"""What marks a model name as one of this package."""
MODELS_FOLDER = Path(__file__).with_name("tiny_models")


def resolve(name: str) -> Path:
    """The folder of the tiny model `name`, such as `tiny:distilbert`; a `ModelError` names the nearest."""
    known = sorted(folder.name for folder in MODELS_FOLDER.iterdir() if folder.is_dir())
    short = name.removeprefix(PREFIX)
    if name.startswith(PREFIX) and short in known:
        return MODELS_FOLDER / short
    nearest = difflib.get_close_matches(short, known, n=1, cutoff=0.0)[0]
    raise ModelError(f'model name "{name}" is no tiny model; the nearest is "{PREFIX}{nearest}"')
