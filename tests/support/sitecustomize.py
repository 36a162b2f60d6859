"""On PYTHONPATH of workers started by tests: adds the engines of `methods/` beside the shipped ones."""

from pathlib import Path

import engines.methods

engines.methods.__path__.append(str(Path(__file__).parent / "methods"))
