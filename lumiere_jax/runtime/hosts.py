"""Several processes as one run: how they find each other, and what they have to agree on."""

import contextlib
import os
from collections.abc import Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils
from tqdm import tqdm

from lumiere_jax.errors import UserError

# What launchers tell each process that they start: srun, mpirun, and by hand.
COUNT, INDEX, ADDRESS = "JAX_NUM_PROCESSES", "JAX_PROCESS_ID", "JAX_COORDINATOR_ADDRESS"
COUNTS = (COUNT, "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE")
BY_HAND = f"set {ADDRESS}=HOST:PORT, {COUNT} and {INDEX}"


def start(wanted: bool | None) -> None:
    """Joins the other processes of this run, before JAX computes anything.

    `wanted` None joins where a launcher says that there are several; an allocation with one
    task is a run of its own.

    Raises:
      UserError: no launcher is known, or the others are not reached in five minutes.
    """
    if wanted is False or (wanted is None and not launched()):
        return
    # Its handler would take SIGTERM for itself, and a run stops at a SIGTERM as at Ctrl-C.
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
    """This host's slice of every batch: which, of how many."""
    return jax.process_index(), jax.process_count()


def launched() -> bool:
    """Whether a launcher's environment says that this is one of several processes.

    An interactive allocation has SLURM's variables as well, but no step with several tasks.
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
    """Whether this process is the one that writes; asking does not start JAX's backend."""
    return not jax.distributed.is_initialized() or jax.process_index() == 0


def say(text: str) -> None:
    """Prints a line once, not once a process, and beside a progress bar."""
    if is_first():
        tqdm.write(text)


def first_says(value: bool) -> bool:
    """The first process's value, on all of them; all have to ask."""
    if not jax.distributed.is_initialized():
        return value
    return bool(multihost_utils.broadcast_one_to_all(np.array(value)))


def any_says(value: bool) -> bool:
    """Whether one of the processes says so, on all of them; all have to ask."""
    if not jax.distributed.is_initialized():
        return value
    return bool(np.any(multihost_utils.process_allgather(np.array(value))))


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Work that each process does by itself: where one fails, none goes on without it.

    Inside, none may wait for another. The others raise a UserError that names the process.
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
