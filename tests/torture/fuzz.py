"""Damaged files of every kind for whatever reads them: each gives a result or a UserError.

    python tests/torture/fuzz.py --inputs=10000

Anything else that is raised, a crash of native code, more memory or time than a file is worth is a
failure, and the input is kept. Inputs are tried in processes of their own, which end with the input
that kills them; the rest goes on. Half of the inputs whose parsers are Python are atheris', which
looks for new paths through them, where atheris is to be had.
"""

import argparse
import errno
import importlib.util
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

from torture.mutations import mutate
from torture.rows import Row
from torture.targets import KINDS, Kind

# Of one input: seconds of computing, seconds without an answer, bytes beyond what is in use.
SECONDS, HANG, MEMORY = 10, 90, 3 << 29
PROCESSES = 2
# FFmpeg's largest request.
LARGEST = 1 << 31
ATHERIS = importlib.util.find_spec("atheris") is not None
CONTEXT = multiprocessing.get_context("spawn")


def fuzz(inputs: int, seed: int, folder: Path, kinds: Mapping[str, Kind] = KINDS) -> Iterator[Row]:
    """Tries so many inputs, the same for the same seed; what fails is kept in `folder`."""
    with ThreadPoolExecutor(PROCESSES) as pool:
        started = {}
        for name, kind in kinds.items():
            place = folder / name
            (place / "seeds").mkdir(parents=True)
            count = max(2, round(inputs * kind.share))
            guided = count // 2 if kind.guided and ATHERIS else 0
            # A process takes seconds to begin.
            cut = (count - guided) // 2 if count > 100 else 0
            parts = [range(cut), range(cut, count - guided)]
            _supervise(_write_seeds, (kind,), place)
            started[name] = [pool.submit(_mutated, kind, seed, part, place) for part in parts]
            started[name].append(pool.submit(_guided, kind, seed, guided, place))
        for name, parts in started.items():
            tries = sum(part.result() for part in parts)
            failures = len(list((folder / name).glob("*.why")))
            promise = f"a result or one error: {name}"
            yield Row(promise, tries, failures, _note(kinds[name], folder / name, failures))


def _note(kind: Kind, place: Path, failures: int) -> str:
    kept = f"inputs that failed are in {place}" if failures else ""
    without = "without atheris" if kind.guided and not ATHERIS else ""
    return "; ".join(filter(None, (kept, without)))


def _mutated(kind: Kind, seed: int, numbers: range, place: Path) -> int:
    """Tries the inputs of these numbers; how many were tried."""
    first = numbers.start
    while first < numbers.stop:
        at, why = _supervise(_try, (kind, seed, range(first, numbers.stop)), place)
        if why:
            write_input(kind, seed, at, place, place / f"{at}")
            (place / f"{at}.why").write_text(why)
        first = at + 1 if why else numbers.stop
    return len(numbers)


def _guided(kind: Kind, seed: int, count: int, place: Path) -> int:
    """Lets atheris try so many inputs; how many were tried."""
    tried = again = 0
    while tried < count:
        at, why = _supervise(_guide, (kind, seed + again, count - tried), place)
        tried, again = tried + at, again + 1
        if why:
            shutil.copytree(place / "guided", place / f"guided-{again}-{at}")
            (place / f"guided-{again}-{at}.why").write_text(why)
    return tried


def _supervise(work: Callable, arguments: tuple, place: Path) -> tuple[int, str]:
    """Runs `work` in a process; the number of its last input, and why it died with it, or ""."""
    at = CONTEXT.Value("q", -1)
    process = CONTEXT.Process(target=_alone, args=(work, arguments, place, at), daemon=True)
    process.start()
    seen, since = at.value, time.monotonic()
    while process.is_alive():
        process.join(0.5)
        if at.value != seen:
            seen, since = at.value, time.monotonic()
        elif time.monotonic() - since > HANG + 60 * (seen < 0):
            process.kill()
            process.join()
            return at.value, f"no answer in {HANG} s"
    if process.exitcode and at.value < 0:
        raise RuntimeError(f"nothing was tried: see {place / 'said'}")
    return at.value, f"the process died: {process.exitcode}" if process.exitcode else ""


def _alone(work: Callable, arguments: tuple, place: Path, at: Any) -> None:
    """What a process of its own begins with: what is said goes into a file."""
    os.environ |= {"JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    said = os.open(place / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(said, stream)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    work(*arguments, place, at)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _write_seeds(kind: Kind, place: Path, at: Any) -> None:
    kind.write(place / "seeds")


def write_input(kind: Kind, seed: int, number: int, place: Path, target: Path) -> None:
    """The input of this number, a folder: a seed with damage to one of its files."""
    random = Random(f"{seed} {place.name} {number}")
    seeds = sorted((place / "seeds").iterdir())
    shutil.copytree(random.choice(seeds), target)
    file = random.choice(sorted(path for path in target.glob(kind.files) if path.is_file()))
    another = sorted(path for path in random.choice(seeds).glob(kind.files) if path.is_file())
    others = [random.choice(another).read_bytes()]
    file.write_bytes(mutate(file.read_bytes(), others, random))


def _try(kind: Kind, seed: int, numbers: range, place: Path, at: Any) -> None:
    _prepare(kind, place)
    for number in numbers:
        at.value = number
        with tempfile.TemporaryDirectory(dir=place, prefix="trial-") as trial:
            target = Path(trial) / "input"
            write_input(kind, seed, number, place, target)
            if why := attempt(kind, target):
                write_input(kind, seed, number, place, place / f"{number}")
                (place / f"{number}.why").write_text(why)
    # What native libraries do at the end of a process is not an input's fault.
    os._exit(0)


def _guide(kind: Kind, seed: int, count: int, place: Path, at: Any) -> None:
    import atheris

    with atheris.instrument_imports(include=["lumiere_jax"]):
        _prepare(kind, place)
    seeds = sorted((place / "seeds").iterdir())
    shutil.rmtree(place / "guided", ignore_errors=True)
    shutil.copytree(seeds[0], place / "guided")
    file = sorted((place / "guided").glob(kind.guided))[0]
    corpus = Path(tempfile.mkdtemp(dir=place, prefix="corpus-"))
    for number, one in enumerate(seeds):
        shutil.copy(sorted(one.glob(kind.guided))[0], corpus / f"{number}")
    at.value = 0

    def one(data: bytes) -> None:
        at.value += 1
        file.write_bytes(data)
        if why := attempt(kind, place / "guided"):
            shutil.copytree(place / "guided", place / f"guided-{seed}-{at.value}")
            (place / f"guided-{seed}-{at.value}.why").write_text(why)

    limits = [f"-runs={count}", f"-seed={seed + 1}", "-rss_limit_mb=0", "-timeout=600"]
    atheris.Setup([place.name, *limits, f"-artifact_prefix={place}/", str(corpus)], one)
    atheris.Fuzz()


def _prepare(kind: Kind, place: Path) -> None:
    """Imports what a kind needs by reading a whole seed, then limits what a file can ask for."""
    with tempfile.TemporaryDirectory(dir=place, prefix="trial-") as trial:
        seed = shutil.copytree(sorted((place / "seeds").iterdir())[0], Path(trial) / "input")
        for read in kind.readers:
            read(seed)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 4 * MEMORY, resource.RLIM_INFINITY))


def attempt(kind: Kind, folder: Path) -> str:
    """Why reading a folder was no success, or ""."""
    from lumiere_jax.errors import UserError

    before, begin = _memory("VmRSS"), time.process_time()
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
    for read in kind.readers:
        try:
            read(folder)
        except UserError as error:
            if lacked_memory(error) and not fails_anyway(read, folder):
                return traceback.format_exc()
        except BaseException:
            return traceback.format_exc()
    seconds, memory = time.process_time() - begin, _memory("VmHWM") - before
    if seconds > SECONDS:
        return f"it took {seconds:.0f} s"
    return f"it took {memory >> 20} MB" if memory > MEMORY else ""


def lacked_memory(error: BaseException | None) -> bool:
    """Whether an error came of a room that a file asked for and did not get."""
    return any(
        isinstance(why, MemoryError) or getattr(why, "errno", None) == errno.ENOMEM
        for why in chain(error)
    )


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it came of."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def fails_anyway(read: Callable[[Path], object], folder: Path) -> bool:
    """Whether FFmpeg speaks of memory but asks for none, as it does of some damaged tables.

    It never asks for more than two gigabytes at once: with as much more room, what was refused
    before is given, and the process grows beyond what it was allowed.
    """
    import av

    from lumiere_jax.errors import UserError

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (soft + 2 * LARGEST, hard))
    try:
        read(folder)
    except UserError as error:
        of_ffmpeg = any(isinstance(why, av.error.MemoryError) for why in chain(error))
        return of_ffmpeg and _memory("VmPeak") <= soft
    except BaseException:
        return False
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    return False


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    rows = []
    for row in fuzz(flags.inputs, flags.seed, Path(tempfile.mkdtemp(prefix="fuzz-"))):
        print(f"{row.promise:45} {row.tries:7} {row.failures:5}  {row.note}", flush=True)
        rows.append(row)
    failures = sum(row.failures for row in rows)
    print(f"{'in all':45} {sum(row.tries for row in rows):7} {failures:5}")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
