"""The command line's requests to workers: one on standard input, answers on standard output.

The client is `search/cli/worker_request.py`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from trainstack.spaces.errors import TrainstackError
from trainstack.workers.engine.keras_settings import OPTIONAL, absent, set_keras


def serve(answers: Callable[[Any], Iterator[Any]]) -> int:
    """Answer the request on standard input, one JSON document per line, each when it is ready.

    Args:
        answers: Request → its answers. It must import modules that need Keras when it is called,
            not before.

    Returns:
        The exit code: 0, or that of the error, which is printed in one line on standard error.
    """
    request = json.load(sys.stdin)
    with absent(*OPTIONAL):
        set_keras()
    try:
        for answer in answers(request):
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
    except TrainstackError as error:
        sys.stderr.write(f"trainstack: {error}\n")
        return error.exit_code
    return 0
