"""Multi-process runs: start-up, collective decisions, and output from the first process."""

import contextlib
import os
from collections.abc import Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils
from tqdm import tqdm

from lumiere_jax.errors import UserError

# Environment variables of a process, set by srun, by mpirun, and by hand.
COUNT, INDEX, ADDRESS = "JAX_NUM_PROCESSES", "JAX_PROCESS_ID", "JAX_COORDINATOR_ADDRESS"
COUNTS = (COUNT, "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE")
BY_HAND = f"set {ADDRESS}=HOST:PORT, {COUNT} and {INDEX}"


def start(wanted: bool | None) -> None:
    """Joins the other processes of this run; call it before JAX computes anything.

    Args:
      wanted: Whether to join. None joins where a launcher has started several processes; an
        allocation with one task runs alone.

    Raises:
      UserError: no launcher is found, or the other processes are not reached in five minutes.
    """
    if wanted is False or (wanted is None and not launched()):
        return
    # The service would handle SIGTERM itself; here SIGTERM stops a run as Ctrl-C does.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        count, index = (_whole(name) for name in (COUNT, INDEX))
        jax.distributed.initialize(num_processes=count, process_id=index)
    except (ValueError, TypeError) as error:
        raise UserError(
            f"--multihost finds no launcher of several processes ({error}): "
            f"start them with srun or on a TPU slice, or {BY_HAND} for each."
        ) from error
    except RuntimeError as error:
        address = os.environ.get(ADDRESS, "the first process")
        raise UserError(
            f"{address} was not reached ({str(error).splitlines()[0]}): start all processes at "
            f"once, on hosts that reach each other, or {BY_HAND} for each."
        ) from error


def own_part() -> tuple[int, int]:
    """Returns the index of this host's slice of every batch, and the number of slices."""
    return jax.process_index(), jax.process_count()


def launched() -> bool:
    """Whether a launcher started this process as one of several.

    An interactive SLURM allocation sets SLURM's variables as well, but has no step of several
    tasks.
    """
    several = any((_whole(name) or 1) > 1 for name in COUNTS)
    return several or "," in os.environ.get("TPU_WORKER_HOSTNAMES", "")


def _whole(name: str) -> int | None:
    text = os.environ.get(name)
    if text is None:
        return None
    if not text.isdecimal():
        raise UserError(f"{name}={text}: this is not a whole number; {BY_HAND}.")
    return int(text)


def is_first() -> bool:
    """Whether this process writes the outputs; does not start JAX's backend."""
    return not jax.distributed.is_initialized() or jax.process_index() == 0


def say(text: str) -> None:
    """Prints a line from the first process only, above any progress bar."""
    if is_first():
        tqdm.write(text)


def first_says(value: bool) -> bool:
    """Broadcasts the first process's value; every process must call it."""
    if not jax.distributed.is_initialized():
        return value
    return bool(multihost_utils.broadcast_one_to_all(np.array(value)))


def any_says(value: bool) -> bool:
    """Whether the value is true on any process; every process must call it."""
    if not jax.distributed.is_initialized():
        return value
    return bool(np.any(multihost_utils.process_allgather(np.array(value))))


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Stops every process where one fails inside the block.

    The other processes raise a UserError that names it. No process may wait for another inside the
    block.
    """
    failure = None
    try:
        yield
    except BaseException as error:  # Ctrl-C too: the others would wait for this process
        failure = error
    if jax.distributed.is_initialized():
        failed = multihost_utils.process_allgather(np.array(failure is not None))
        if failure is None and np.any(failed):
            raise UserError(
                f"process {np.argmax(failed)} of {jax.process_count()} stopped; it says why."
            )
    if failure:
        raise failure
