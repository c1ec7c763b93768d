"""The child process that builds one engine: ``python -m n3d_ros.inference.tensorrt.build_worker``, a job on its input.

It answers with lines of JSON: ``{"share": .., "text": ..}`` while it works, ``{"log": ..}`` for what TensorRT warns of,
and ``{"done": ..}`` or ``{"error": ..}`` at the end. It ends when its input is closed: nobody waits for it any more.
Torch is not imported here, so that its memory is TensorRT's.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from n3d_ros.errors import N3dError
from n3d_ros.inference.tensorrt import api
from n3d_ros.inference.tensorrt.job import BuildJob


def main() -> int:
    """Builds.

    Returns:
        0 when the plan is written; 1 otherwise.
    """
    # What libraries print is no answer: it goes to standard error, which the parent keeps for its message.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    lock = threading.Lock()

    def answer(**content: Any) -> None:
        with lock:
            answers.write(json.dumps(content) + "\n")

    job = BuildJob.from_json(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        answer(share=0.0, text=f"Reading {Path(job.graph).name}")
        trt = api.import_tensorrt()
        facts = api.build(
            trt,
            job,
            tell=lambda share, text: answer(share=share, text=text),
            log=lambda text: answer(log=text),
        )
    except N3dError as error:
        answer(error=error.message)
        return 1
    except MemoryError:
        answer(error="Not enough memory to build the engine; close other programs, or export in a smaller dtype.")
        return 1
    answer(done=facts)
    return 0


def _end_with_parent() -> None:
    """Ends the process at once when its input is closed."""
    while sys.stdin.read(1):
        pass
    os._exit(2)


if __name__ == "__main__":
    sys.exit(main())
