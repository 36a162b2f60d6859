"""Models in a `.gguf` file, quantised or not: dequantised once into a folder that every engine opens.

The folder lies in the home's cache under the hash of the file's content. Its weights are in bfloat16, what most models
are published in; quantisation to a few bits has lost more than that rounds.
"""

from pathlib import Path
from typing import Any

from engines.errors import ModelError
from engines.reporter import Reporter
from engines.runs.writing import sha256, write_folder

SUFFIX = ".gguf"


def is_gguf(name: str) -> bool:
    """Whether a model's name is that of a GGUF file."""
    return name.lower().endswith(SUFFIX)


def check(file: Path) -> None:
    """Raise `ModelError` where a file is missing or begins otherwise than a GGUF file."""
    if not file.is_file():
        raise ModelError(f"model.name = {file}: no such file; check the path")
    with open(file, "rb") as stream:
        if stream.read(4) != b"GGUF":
            raise ModelError(f"model.name = {file} is no GGUF file, or cut off; copy or download it again")


def dequantised(file: Path, report: Reporter) -> Path:
    """The folder with the model of `file`, made where it is not there yet, as a phase of its own.

    Raises `ModelError` where the file is none, is of a kind that transformers cannot read, or the library is missing.
    """
    check(file)
    folder = report.folder.home.cache / "gguf" / sha256(file)
    if (folder / "config.json").is_file():
        return folder
    try:
        import gguf  # noqa: F401
    except ImportError:
        raise ModelError(f"model.name = {file} needs the library gguf; pip install 'labtui[gguf]'") from None
    report.phase("dequantise")
    report.note(f"{file.name} is dequantised once, to bfloat16")
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_folder(folder, lambda target: _convert(file, target))
    return folder


def _convert(file: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    asked: dict[str, Any] = {"gguf_file": file.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(file.parent, **asked)
        model = AutoModelForCausalLM.from_pretrained(
            file.parent, quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16, **asked
        )
    except (ValueError, KeyError, NotImplementedError, OSError, IndexError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"model.name = {file}: transformers cannot read this GGUF file ({reason}); use the model in its own format"
        ) from None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
