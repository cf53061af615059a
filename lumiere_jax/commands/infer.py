"""Synthesis of labelled videos from narrations, streamed: memory does not grow with length."""

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from lumiere_jax.audio.features import gain_to_loudness
from lumiere_jax.audio.frame_times import frames_covering
from lumiere_jax.audio.level_and_band import band_message, measure
from lumiere_jax.errors import UserError
from lumiere_jax.inputs.dataset.consent import consent_id, read_consent
from lumiere_jax.inputs.faces.alignment import paster
from lumiere_jax.inputs.faces.stills import find_face, read_picture
from lumiere_jax.inputs.sound.sound_tracks import (
    Sound,
    heard,
    probe_audio,
    read_sound,
    track_message,
)
from lumiere_jax.outputs.credentials import read_credentials
from lumiere_jax.outputs.video import check_writable, write_video
from lumiere_jax.paths import matching, user_path
from lumiere_jax.runtime.device_threads import spread
from lumiere_jax.runtime.disk_space import announce_space, written_into
from lumiere_jax.runtime.prefetch import made_ahead
from lumiere_jax.shapes import Picture
from lumiere_jax.systems import registry
from lumiere_jax.systems.contract import Model, Narration, Request, System
from lumiere_jax.workflows.disk_estimates import video_bytes
from lumiere_jax.workflows.trained_model import load_model, record_of, with_defaults
from lumiere_jax.workflows.workdir import read_run

# Most frames that wait for the encoder: one chunk of an accelerator.
WAITING = 32


def narrations(audio: str | Path, out: Path) -> list[tuple[Path, Path]]:
    """Pairs narrations with the videos to write.

    Args:
      audio: A narration's file, or a glob pattern.
      out: The video of a single narration, or a folder for all videos.

    Returns:
      Pairs of narration and video.

    Raises:
      UserError: there is no narration, two would become the same video, or one cannot be written.
    """
    if "-" in (str(audio), str(out)):
        raise UserError("--audio=- and --out=- go with --live: add it, or name files.")
    paths = matching(str(audio))
    if not paths:
        raise UserError(
            f"{audio}: there is no such file; check the path, and quote a pattern such as "
            "'talks/*.wav'."
        )
    if out.suffix.lower() == ".mp4" or (out.suffix and len(paths) == 1 and not out.is_dir()):
        if len(paths) > 1:
            raise UserError(
                f"--out={out} is one video, and --audio={audio} names {len(paths)} narrations: "
                "name a folder for their videos."
            )
        videos = [out]
    else:
        stems = [path.stem for path in paths]
        if twin := next((stem for stem in stems if stems.count(stem) > 1), None):
            raise UserError(
                f"--audio={audio}: two narrations are named '{twin}'; rename one of them."
            )
        videos = [user_path("--out", out / f"{stem}.mp4") for stem in stems]
    for path, video in zip(paths, videos, strict=True):
        check_writable(video)
        if video.exists() and path.exists() and video.samefile(path):
            raise UserError(f"--out={video} is the narration itself: give the video another name.")
    return list(zip(paths, videos, strict=True))


def _probed(audio: Path, sound_track: int | None) -> Sound:
    """Probes a narration by decoding all of it once; prints its chosen track and truncation."""
    sound = probe_audio(audio, sound_track)
    if sound.tracks > 1 and sound_track is None:
        tqdm.write(f"{audio}: {track_message(sound.track, sound.tracks)}")
    if sound.truncated:
        tqdm.write(f"{audio} is cut off: the {sound.seconds:.1f} s that are whole are spoken.")
    return sound


def speak(
    model: Model,
    sound: Sound,
    still: Picture | None = None,
    options: Mapping[str, Any] | None = None,
) -> Iterator[Picture]:
    """Synthesises a narration's frames, as many as cover its last sample.

    Args:
      model: Trained model.
      sound: Probed narration.
      still: Aligned face that speaks, (rows, cols, 3) uint8, for models of faces.
      options: Values of the system's own flags, by name.

    Returns:
      An iterator over the frames.
    """
    level, band, _ = measure(heard(sound))
    band = min(band, sound.rate / 2)
    if level == -float("inf"):
        tqdm.write(f"warning: {sound.path} is silent, so the speaker keeps still.")
    elif lacking := band_message(band):
        tqdm.write(f"{sound.path} has {lacking}.")
    run, gain = model.run, gain_to_loudness(level)
    frames = frames_covering(sound.samples, run.fps, sound.rate)
    narration = Narration(heard(sound), gain, frames, band)
    request = Request(narration=narration, still=still, options=options or {})
    return model.system.speak(model, request)


def infer(
    *,
    workdir: Path,
    audio: str | Path,
    out: Path,
    image: Path | None = None,
    consent: Path | None = None,
    paste: bool = False,
    preset: str = "medium",
    certificate: Path | None = None,
    key: Path | None = None,
    sound_track: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> int:
    """Writes the videos of one or several narrations, spread over the local devices.

    Args:
      workdir: Trained workdir.
      audio: A narration's file, or a glob pattern.
      out: The video of a single narration, or a folder for all videos.
      image: Picture of the face that speaks, for models of faces.
      consent: Record of the consent to use that face, which the video's record names.
      paste: Whether to put the face back into `image`.
      preset: x264's preset.
      certificate: Certificate chain; with it and `key` the videos are signed.
      key: Private key of the first certificate.
      sound_track: Number of the sound track, from 1; by default the one with speech.
      options: Values of the system's own flags, by name.

    Returns:
      The number of frames of all videos.

    Raises:
      UserError: the workdir, a narration, the picture, the output or the key is unusable.
    """
    signer = read_credentials(certificate, key) if certificate and key else None
    named = narrations(audio, out)
    system = registry.of(read_run(workdir).config)
    given = _given(workdir, system, image, paste, consent)
    options = with_defaults(workdir, system.name, options)
    model = load_model(workdir)
    still = _aligned(given, model.run.shape, paste) if given else None
    tasks = [(_probed(path, sound_track), video) for path, video in named]
    record, fps = {**record_of(model), **(still.record if still else {})}, model.run.fps
    total = sum(frames_covering(sound.samples, fps, sound.rate) for sound, _ in tasks)
    seconds = sum(sound.seconds for sound, _ in tasks)
    finished = still.finished if still else lambda frame: frame
    rows, cols = still.shape if still else model.run.shape
    least, most = video_bytes(total, max(rows, cols), seconds)
    # Signing copies videos; every device may copy one at the same time.
    announce_space(tasks[0][1].parent, least, 2 * most if signer else most)

    def work(variables: Any, task: tuple[Sound, Path], tick: Callable[[], None]) -> None:
        sound, video = task
        own = dataclasses.replace(model, variables=variables)
        # The networks run in their own thread, the encoder in this one.
        said = map(finished, speak(own, sound, still.face if still else None, options))
        with contextlib.closing(made_ahead(said, WAITING)) as made:
            frames = _ticked(made, tick)
            write_video(
                video,
                frames,
                fps,
                read_sound(sound),
                sound.rate,
                sound.channels,
                record,
                preset=preset,
                credentials=signer,
            )

    folder = tasks[0][1].parent
    with (
        written_into(folder),
        tqdm(total=total, desc="synthesis", unit="frame", dynamic_ncols=True) as bar,
    ):
        spread(work, tasks, model.variables, bar.update)
    return total


class _Given(NamedTuple):
    """A picture of a face, its file, and the consent record."""

    path: Path
    picture: Picture
    agreed: dict[str, Any] | None


class _Still(NamedTuple):
    """The face that speaks.

    Attributes:
      face: Aligned face.
      finished: Turns a frame of the face into a frame of the video.
      shape: Rows and columns of the video.
      record: Additions to the video's record.
    """

    face: Picture
    finished: Callable[[Picture], Picture]
    shape: tuple[int, int]
    record: dict[str, Any]


def _given(
    workdir: Path, system: System, image: Path | None, paste: bool, consent: Path | None
) -> _Given | None:
    """Reads the still picture for a model of faces; None for a model of a lecturer."""
    if "still" not in system.request_needs:
        if image is not None or paste or consent is not None:
            raise UserError(
                f"{workdir} is a model of one lecturer in one framing ('{system.name}'): leave "
                "--image, --paste and --consent out."
            )
        return None
    if image is None:
        raise UserError(
            f"{workdir} is a model of faces ('{system.name}'): name a still picture of one with "
            "--image=face.png."
        )
    return _Given(image, read_picture(image), read_consent(consent) if consent else None)


def _aligned(given: _Given, shape: tuple[int, int], paste: bool) -> _Still:
    """Finds and aligns the face of a picture."""
    still = find_face(given.path, given.picture, shape)
    shown: dict[str, Any] = {"sha256": hashlib.sha256(still.face.tobytes()).hexdigest()}
    if agreed := given.agreed:
        shown |= {"who": agreed.get("who"), "consent": consent_id(agreed)}
    record = {"face": shown}
    if not paste:
        return _Still(still.face, lambda face: face, shape, record)
    back = paster(still.picture, still.transform, shape)
    return _Still(still.face, back, still.picture.shape[:2], record)


def _ticked(frames: Iterator[Picture], tick: Callable[[], Any]) -> Iterator[Picture]:
    for frame in frames:
        tick()
        yield frame
