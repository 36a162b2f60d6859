"""`python -m engines.models.environment`: what torch sees, as JSON; a process of its own, so that nothing heavy
is imported by whoever asks."""

import json
import sys
from typing import Any


def look() -> dict[str, Any]:
    """Versions and devices of the libraries that training needs; `error` where an import fails."""
    seen: dict[str, Any] = {}
    try:
        import torch

        cuda = torch.cuda.is_available()
        seen["torch"] = {
            "version": torch.__version__,
            "cuda_build": torch.version.cuda,
            "cuda_available": cuda,
            "threads": torch.get_num_threads(),
            "devices": [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())] if cuda else [],
            "bf16": bool(cuda and torch.cuda.is_bf16_supported()),
        }
    except Exception as error:  # a broken build raises anything
        seen["torch"] = {"error": f"{type(error).__name__}: {error}"}
    try:
        import bitsandbytes

        seen["bitsandbytes"] = {"version": bitsandbytes.__version__}
    except Exception as error:
        seen["bitsandbytes"] = {"error": f"{type(error).__name__}: {error}"}
    return seen


if __name__ == "__main__":
    sys.stdout.write(json.dumps(look()) + "\n")
