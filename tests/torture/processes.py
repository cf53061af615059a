"""The scripts as real processes: started, watched, killed, and what they leave behind."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRESET = f"--config={ROOT}/configs/lumierenet.py:tiny"
FACES = f"--config={ROOT}/configs/temporal_gan.py:tiny"
NARRATION = ROOT / "lumiere_jax" / "drawn" / "narrations" / "second.flac"
MARK = "LUMIERE_JAX_TORTURE"
# What workers, and the estimator's program, get to see that their parent is gone.
GRACE = 15.0


@dataclass(frozen=True)
class Run:
    """A process of a script: `mark` is in the environment of all that it starts."""

    process: subprocess.Popen
    mark: str
    out: Path

    @property
    def said(self) -> str:
        """What it has printed so far, on both streams, with a bar's carriage returns."""
        return self.out.read_bytes().decode(errors="replace")

    @property
    def running(self) -> bool:
        return self.process.poll() is None


# A shell's background job ignores Ctrl-C, and so would all that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """A user's environment: nothing of the tests' settings, a cache of the torture's own."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "XLA_", "PYTEST_"))}
    own.setdefault("LUMIERE_JAX_CACHE", str(folder / "cache"))
    settings = {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    return {**own, **settings, **more}


def start(folder: Path, script: str, *flags: object, limit: int | None = None, **more: str) -> Run:
    """A script from the project's root; `limit` is the most bytes that a file of it may have."""
    mark = uuid.uuid4().hex
    out = folder / f"said-{mark[:8]}.txt"
    command = [sys.executable, str(ROOT / script), *map(str, flags)]
    if limit is not None:
        program = (
            "import resource, runpy, sys\n"
            f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
            "sys.argv = sys.argv[1:]\n"
            "sys.path.insert(0, '')\n"
            "runpy.run_path(sys.argv[0], run_name='__main__')"
        )
        command[1:1] = ["-c", program]
    with out.open("w") as said:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(folder, **{MARK: mark}, **more),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    return Run(process, mark, out)


def finish(run: Run, seconds: float = 600) -> int:
    """Waits for a run's end; its exit code."""
    try:
        return run.process.wait(seconds)
    finally:
        kill(run)


def wait_until(true: Callable[[], object], run: Run, seconds: float = 300) -> bool:
    """Polls often until something is true; False where the run ended first, or time ran out."""
    end = time.monotonic() + seconds
    while not true():
        if not run.running or time.monotonic() > end:
            return bool(true())
        time.sleep(0.0005)
    return True


def there(folder: Path, pattern: str) -> list[Path]:
    """What matches; nothing where a folder went, or changed its name, while it was looked into."""
    try:
        return list(folder.glob(pattern))
    except FileNotFoundError:
        return []


def kill(run: Run) -> list[str]:
    """kill -9 of the run's own process alone; the commands of what outlived it, ended too."""
    if run.running:
        run.process.send_signal(signal.SIGKILL)
    run.process.wait()
    end = time.monotonic() + GRACE
    while (left := living(run.mark)) and time.monotonic() < end:
        time.sleep(0.05)
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return list(left.values())


def living(mark: str) -> dict[int, str]:
    """Processes with this mark in their environment, and their commands."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found[int(folder.name)] = command.strip()
            except OSError:  # it has ended
                continue
    return found
