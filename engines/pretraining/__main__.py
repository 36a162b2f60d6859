"""`python -m engines.pretraining NAME`: rebuilds a shipped model in place, narrating on standard error."""

import argparse
import sys

from engines.models.tiny import MODELS_FOLDER
from engines.pretraining import encoder, language

_BUILDERS = {
    "distilbert": encoder.build_distilbert,
    "gemma": language.build_gemma,
    "mistral": language.build_mistral,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m engines.pretraining", description="Rebuild a shipped tiny model.")
    parser.add_argument("name", choices=sorted(_BUILDERS))
    name = parser.parse_args().name
    _BUILDERS[name](MODELS_FOLDER / name, lambda line: print(line, file=sys.stderr, flush=True))


if __name__ == "__main__":
    main()
