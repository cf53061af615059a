"""Narrations to labelled lecture videos, streamed: memory does not grow with their length."""

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from lumiere_jax import systems
from lumiere_jax.audio.features import frames_covering, gain_to_loudness
from lumiere_jax.audio.listening import band_message, measure
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
from lumiere_jax.runtime.compile_alarms import silence_alarms
from lumiere_jax.runtime.device_threads import spread
from lumiere_jax.runtime.disk_space import announce_space, written_into
from lumiere_jax.runtime.prefetch import made_ahead
from lumiere_jax.shapes import Picture
from lumiere_jax.systems.contract import Model, Narration, Request
from lumiere_jax.training import checkpoint
from lumiere_jax.workflows.artefacts import read_artefacts
from lumiere_jax.workflows.disk_estimates import video_bytes
from lumiere_jax.workflows.workdir import check_follows, origin, read_run, with_defaults

# Frames that may wait for the encoder: a chunk of an accelerator's.
WAITING = 32


def record_of(model: Model) -> dict[str, Any]:
    """What a model's videos say of themselves, beside that they are synthetic."""
    return {**origin(model.run.consent), "model": model.id}


def load_model(workdir: Path) -> Model:
    """The model of a workdir; says so where a stage has not taken all of its steps.

    Raises:
      UserError: the workdir is none, a stage has not been trained, or not on what it needs.
    """
    silence_alarms()
    run = read_run(workdir)
    system = systems.of(run.config)
    every = system.stages(run.config, run.shape)
    steps = {name: checkpoint.require(workdir, stage) for name, stage in every.items()}
    variables: dict[str, Any] = {}
    artefacts: dict[str, Any] = {}
    for name, networks in system.networks.items():
        stage = every[name]
        for needed in stage.needs:
            check_follows(workdir, name, needed, steps[needed])
        ended = checkpoint.has_ended(workdir / name, stage.patience)
        if steps[name] < stage.steps and not ended:
            tqdm.write(f"warning: '{name}' has taken {steps[name]} of {stage.steps} steps.")
        variables[name] = checkpoint.restore_frozen(workdir, stage, *networks)
        if stage.leaves_artefacts:
            artefacts[name] = read_artefacts(workdir / name, steps[name])
    return Model(
        system=system,
        run=run,
        variables=variables,
        artefacts=artefacts,
        pretrained=system.pretrained_in_use(run.config),
        steps=steps,
    )


def narrations(audio: str | Path, out: Path) -> list[tuple[Path, Path]]:
    """The narrations that a file's name or a pattern names, and the videos they become: `out`, or
    one for each in the folder `out`.

    Raises:
      UserError: two would become the same video, or one cannot be written.
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
    """A narration, all of which has been decoded once."""
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
    """The frames of a narration, as many as cover its last sample; of a still where the model is
    one of faces."""
    level, band, _ = measure(heard(sound))
    band = min(band, sound.rate / 2)
    if level == -float("inf"):
        tqdm.write(f"warning: {sound.path} is silent, so the speaker keeps still.")
    elif lacking := band_message(band):
        tqdm.write(f"{sound.path} has {lacking}: features there are the training set's mean.")
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
    """Writes a narration's video, or those of all that a pattern names into the folder `out`,
    and returns their number of frames. Narrations are spread over the local devices. With a
    certificate and its key the videos are signed. Of a narration's sound tracks the one with speech
    is spoken, or number `sound_track`, from 1.

    A model of faces speaks with the face of `image`; `paste` puts it back into that picture, and
    `consent` is the record of who agreed to that, for the video's own record. `options` are the
    values of the system's own flags.

    Raises:
      UserError: anything about the workdir, the narrations, the picture, the output's name or the
        key.
    """
    signer = read_credentials(certificate, key) if certificate and key else None
    named = narrations(audio, out)
    given = _given(workdir, image, paste, consent)
    options = with_defaults(workdir, options)
    model = load_model(workdir)
    still = _aligned(given, model.run.shape, paste) if given else None
    tasks = [(_probed(path, sound_track), video) for path, video in named]
    record, fps = {**record_of(model), **(still.record if still else {})}, model.run.fps
    total = sum(frames_covering(sound.samples, fps, sound.rate) for sound, _ in tasks)
    seconds = sum(sound.seconds for sound, _ in tasks)
    finished = still.finished if still else lambda frame: frame
    rows, cols = still.shape if still else model.run.shape
    least, most = video_bytes(total, max(rows, cols), seconds)
    # Signing copies a video, one at a time and on as many devices as there are.
    announce_space(tasks[0][1].parent, least, 2 * most if signer else most)

    def work(variables: Any, task: tuple[Sound, Path], tick: Callable[[], None]) -> None:
        sound, video = task
        own = dataclasses.replace(model, variables=variables)
        # The networks in a thread of their own, the encoder here.
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
    """The picture of a face, where it comes from, and the record of who agreed to it."""

    path: Path
    picture: Picture
    agreed: dict[str, Any] | None


class _Still(NamedTuple):
    """The face that speaks, what becomes of each of its frames, the shape that they get, and what
    a video says of it."""

    face: Picture
    finished: Callable[[Picture], Picture]
    shape: tuple[int, int]
    record: dict[str, Any]


def _given(workdir: Path, image: Path | None, paste: bool, consent: Path | None) -> _Given | None:
    """What is to speak, where the model of a workdir wants a face."""
    system = systems.of(read_run(workdir).config)
    if "still" not in system.wants:
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
    """The face of a picture, found and aligned."""
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
