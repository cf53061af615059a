"""Processes that stand still until they are asked for something."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# Each side has one accelerator, and leaves the other its share of the memory.
ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TQDM_DISABLE": "1",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0],
}
# Options of XLA for programs that run once: compiled in half of the time.
QUICKLY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


class Side:
    """A process of one of the scripts here, which answers with a line of JSON each."""

    def __init__(self, script: str, *arguments: str, **environment: str):
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **ENVIRONMENT, **environment},
        )

    def ask(self, **what: Any) -> None:
        """Asks for something, without waiting for it; RuntimeError where the process has ended."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(what) + "\n")
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError) as error:  # ValueError: closed by an earlier failure
            # An open pipe would try to send the rest when it is collected.
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
            raise self._ended() from error

    def answer(self) -> Any:
        """What was asked for; RuntimeError where the process has ended."""
        assert self.process.stdout is not None
        if not (line := self.process.stdout.readline()):
            raise self._ended()
        return json.loads(line)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()

    def _ended(self) -> RuntimeError:
        command = " ".join(map(str, self.process.args))  # pyright: ignore[reportArgumentType]
        return RuntimeError(f"{command} ended with {self.process.wait()}")
