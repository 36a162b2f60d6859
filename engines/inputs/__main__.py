"""`python -m engines.inputs`: answers one question about data and models, `{"ask", "with"}` on the standard input.

The answer on the standard output is `{"answer"}`, or `{"error"}`, a sentence for the user. Exit status: 0 answered,
1 a fault of ours, whose traceback is on the standard error.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from engines import catalog
from engines.data.splits import Data
from engines.errors import UserError, sentence_of
from engines.inputs import checks, description
from engines.inputs.values import Description
from engines.models.location import Model
from engines.runs.home import Home


def _check(document: dict[str, Any], home: str, whole: bool) -> None:
    experiment = catalog.from_document(document, place=str(document["experiment"]), name=str(document["experiment"]))
    checks.check(experiment, Home(home), whole=whole)


def _describe(data: dict[str, Any], home: str, model: str, revision: str, max_length: int) -> Description:
    asked = Model(model, revision) if model else None
    return description.describe(Data(**data), Home(home).cache, asked, max_length)


QUESTIONS: dict[str, Callable[..., Any]] = {"check": _check, "describe": _describe}


def main() -> int:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    request = json.load(sys.stdin)
    reply: dict[str, Any]
    try:
        reply = {"answer": QUESTIONS[request["ask"]](**request["with"])}
    except (UserError, OSError) as error:
        reply = {"error": sentence_of(error)}
    answers.write(json.dumps(reply).encode())
    answers.close()
    return 0


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # without waiting for a thread that waits for the network
