"""Live synthesis: sound from standard input or a device, pictures to a pipe or a video."""

import contextlib
import itertools
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from lumiere_jax.audio.frame_times import RATE
from lumiere_jax.audio.level_and_band import Heard
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.sound.live_sound import Ear, listen
from lumiere_jax.outputs.credentials import Credentials, read_credentials
from lumiere_jax.outputs.mark import marked
from lumiere_jax.outputs.video import check_writable, write_video
from lumiere_jax.runtime.disk_space import written_into
from lumiere_jax.systems import registry
from lumiere_jax.systems.contract import Model, Timing
from lumiere_jax.workflows.trained_model import load_model, record_of
from lumiere_jax.workflows.workdir import read_run

STDOUT = "-"


def live(
    *,
    workdir: Path,
    audio: str,
    out: str,
    preset: str = "medium",
    certificate: Path | None = None,
    key: Path | None = None,
) -> Timing:
    """Synthesises pictures from live sound until it ends, or until the first Ctrl-C.

    Only pictures go to standard output.

    Args:
      workdir: Trained workdir.
      audio: `-` for standard input (raw 16-bit mono at 16 kHz), or FFmpeg's DEVICE:NAME.
      out: `-` or a named pipe, for raw rgb24 pictures; or an .mp4 file, with the sound.
      preset: x264's preset.
      certificate: Certificate chain; with it and `key` the file is signed.
      key: Private key of the first certificate.

    Returns:
      The timing of the pictures.

    Raises:
      UserError: the workdir, the sound, the output or the key is unusable.
    """
    timing = Timing()
    signer = _signer(certificate, key, out)
    with _opened(out) as target, contextlib.redirect_stdout(sys.stderr):
        system = registry.of(read_run(workdir).config)
        if system.live is None:
            raise UserError(
                f"{workdir} is of '{system.name}', which does not speak live: name a narration's "
                "file, and leave --live out."
            )
        ear = listen(audio)
        model = load_model(workdir)
        compiled = warmed_up(model)
        _announce(model, ear)
        with _stopped_by_signals(ear):
            ear.open.set()
            spoken = speak_live(model, compiled, ear.heard(), target, preset, timing, signer)
    if not spoken:
        raise UserError(
            f"--audio={audio}: the sound ended before it was listened to; pipe it at the speed at "
            "which it is spoken, or leave --live out and name its file."
        )
    return timing


def speak_live(
    model: Model,
    compiled: Any,
    blocks: Iterator[Heard],
    target: BinaryIO | Path,
    preset: str,
    timing: Timing,
    signer: Credentials | None = None,
) -> bool:
    """Writes the pictures of live sound, raw or as a video with the sound.

    Args:
      model: Trained model.
      compiled: Compiled programs, from `warmed_up`.
      blocks: Blocks of the sound.
      target: Open file for raw rgb24 pictures, or path of a video.
      preset: x264's preset.
      timing: Updated with each picture.
      signer: Signs the video.

    Returns:
      Whether there was any picture.
    """
    run, live = model.run, model.system.live
    assert live is not None
    own, sound = itertools.tee(blocks) if isinstance(target, Path) else (blocks, iter(()))
    made = live.frames(model, compiled, own, timing)
    first = next(made, None)
    if first is None:
        return False
    made = itertools.chain([first], made)
    if isinstance(target, Path):
        samples = (block[:, None] for _, block in sound)
        record = record_of(model)
        with written_into(target.parent):
            write_video(
                target, made, run.fps, samples, RATE, 1, record, preset=preset, credentials=signer
            )
        return True
    try:
        for picture in marked(made):
            target.write(picture.tobytes())
            target.flush()
    except BrokenPipeError:
        # The reader has closed the pipe, which ends the run normally. Python would flush the pipe
        # again at exit, so it is replaced.
        os.dup2(os.open(os.devnull, os.O_WRONLY), target.fileno())
    return True


def _signer(certificate: Path | None, key: Path | None, out: str) -> Credentials | None:
    if certificate is None or key is None:
        return None
    if out == STDOUT or Path(out).is_fifo():
        raise UserError(
            f"--certificate signs files, and --out={out} is raw pictures: name an .mp4 file, or "
            "leave --certificate and --key out."
        )
    return read_credentials(certificate, key)


def warmed_up(model: Model) -> Any:
    """Compiles the system's programs for a frame, runs the marks once, and returns the programs."""
    assert model.system.live is not None
    compiled, frame = model.system.live.warm_up(model)
    next(marked([frame]))
    return compiled


@contextlib.contextmanager
def _opened(out: str) -> Iterator[BinaryIO | Path]:
    """Yields the open file for raw pictures, or the path of the video."""
    if out == STDOUT:
        if sys.stdout.isatty():
            raise UserError("--out=-: pictures are not for a terminal; pipe them, see --help.")
        yield sys.stdout.buffer
    elif (path := Path(out)).is_fifo():
        with path.open("wb") as pipe:
            yield pipe
    else:
        yield check_writable(path)


@contextlib.contextmanager
def _stopped_by_signals(ear: Ear) -> Iterator[None]:
    """Ends the sound at the first Ctrl-C or SIGTERM, so the video is completed; the next stops."""

    def stop(*_: Any) -> None:
        for number in before:
            signal.signal(number, before[number])
        ear.stop()

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _announce(model: Model, ear: Ear) -> None:
    assert model.system.live is not None
    size, fps, delay = model.run.size, model.run.fps, model.system.live.ahead(model.run.config)
    late = f" The model hears {delay} frames ahead, and is as much later." if delay else ""
    missed = f" {ear.missed / RATE:.1f} s that came before are left out." if ear.missed else ""
    print(
        f"listening; pictures of {size}x{size}, rgb24, {fps} a second.{missed}{late}",
        file=sys.stderr,
        flush=True,
    )
