"""Flag parsing and error handling: a user's errors print one sentence and exit with 2."""

import codecs
import contextlib
import difflib
import functools
import io
import os
import re
import signal
import sys
import textwrap
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from absl import app, flags, logging

from lumiere_jax.errors import UserError, disk_is_full, escaped, is_disk_full, printable, shortened
from lumiere_jax.paths import expanded
from lumiere_jax.runtime.compiled_programs import keep_compiled
from lumiere_jax.runtime.memory_allocation import claim_accelerator, keep_freed_memory
from lumiere_jax.systems.entry import Entry, Flag
from lumiere_jax.systems.registry import ENTRIES

# A run that a signal stops exits with 128 plus the signal's number, as shells report it.
USAGE_ERROR, INTERRUPTED = 2, 128
# Flags that this module defines count as the calling script's own.
flags.disclaim_key_flags()
_HELP = {"--help", "-help", "-h", "-?", "--helpshort", "--helpfull"}
_TYPES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}

# XLA and TensorFlow log their build at every start; they read these variables when they load.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
# Python's resource tracker frees what workers of a stopped run held, but would warn about it.
os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker")


CONFIG = "--config="
STARTS_ANEW = "nothing is half-written, and the same command starts anew."


def run(main: Callable[[], None], interrupted: str = STARTS_ANEW) -> None:
    """Parses the flags, calls `main`, and turns a user's errors into a sentence and exit code 2.

    absl's own parsing would print usage and exit with 1, as would its `--help`.

    Args:
      main: The script's work.
      interrupted: Printed when a signal stops the run: what is left of it.
    """
    # SIGTERM stops a run as Ctrl-C does: it leaves no half-written file and no process.
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as in a shell's background jobs
            signal.signal(number, functools.partial(_interrupt, interrupted))
    sys.unraisablehook = _unraisable
    codecs.register_error("escaped", escaped)
    for stream in (sys.stdout, sys.stderr):  # a file's name may not be valid text
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="escaped")
    logging.use_absl_handler()
    # Orbax logs a traceback of the errors that it also raises.
    logging.set_verbosity(logging.FATAL)

    def start(_: list[str]) -> None:
        keep_freed_memory()
        claim_accelerator()
        exit_on_error(main, interrupted)

    try:
        app.run(start, flags_parser=parse)
    except KeyboardInterrupt as stopped:
        _leave(_signal(stopped), interrupted)


def define_system_flags(of: Callable[[Entry], Sequence[Flag]]) -> None:
    """Defines flags that systems add to a script; systems may share one.

    Args:
      of: Returns a system's flags.

    Raises:
      ValueError: A system's flag has the name of another, or two systems' differ in their values.
    """
    taken, defined = set(flags.FLAGS), {}
    for entry in ENTRIES.values():
        for flag in of(entry):
            values = (flag.kind, flag.default, flag.choices)
            if flag.name in taken or defined.setdefault(flag.name, values) != values:
                raise ValueError(f"--{flag.name} of {entry.name!r} is the name of another flag")
            if flag.name in flags.FLAGS:
                continue
            text = f"{flag.help} ({entry.name})"
            kind = "enum" if flag.choices else "string" if flag.kind == "path" else flag.kind
            choices = [flag.choices] if flag.choices else []
            getattr(flags, f"DEFINE_{kind}")(flag.name, flag.default, *choices, text)


def systems_help() -> str:
    """Returns the systems' part of --help: what each learns, its presets and its stages."""
    lines = ["Systems:"]
    for entry in ENTRIES.values():
        presets = ", ".join(f"{name} ({use})" for name, use in entry.presets.items())
        text = (
            f"{entry.name}: {entry.learns}. Presets of {entry.config}: {presets}. "
            f"Stages: {', '.join(entry.stages)}."
        )
        lines += textwrap.wrap(text, 100, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(lines)


def given() -> dict[str, Any]:
    """Returns the values of all flags of the script and of systems that the user gave, by name."""
    own = flags.FLAGS.get_key_flags_for_module("__main__")
    own += [flags.FLAGS[name] for name in _system_flags() if name in flags.FLAGS]
    return {flag.name: flag.value for flag in own if flag.present}


def _system_flags() -> list[str]:
    every = ENTRIES.values()
    return [flag.name for entry in every for flag in (*entry.flags, *entry.experiment_flags)]


def parse(argv: Sequence[str]) -> list[str]:
    """Parses every flag and reads the config once, so that errors in them appear at the start."""
    if _HELP & set(argv[1:]):
        print((sys.modules["__main__"].__doc__ or "").strip())
        print("\n" + systems_help())
        print("\nFlags:\n" + flags.FLAGS.main_module_help())
        sys.exit(0)
    try:
        keep_compiled()  # before the config's program imports JAX
        argv = with_config_expanded(argv)
        rest = flags.FLAGS(argv)
        if len(rest) > 1:
            raise UserError(
                f"'{rest[1]}' is not a flag: write every argument as --name=value (see --help)."
            )
        if "config" in flags.FLAGS:
            # ml_collections reports a missing file only when a field is read.
            _ = getattr(flags.FLAGS.config, "system", None)
    except UserError as error:
        _stop(str(error))
    except Exception as error:  # a config is a program and may raise anything
        _stop(_sentence(error, argv))
    return rest


def with_config_expanded(argv: Sequence[str]) -> list[str]:
    """Rewrites the config's argument as --config=NAME and expands `~` in it as a shell would."""
    text = [argv[0]]
    for argument in argv[1:]:
        if text[-1] in ("--config", "-config"):
            argument = f"{text.pop()}={argument}"
        if match := re.fullmatch(r"--?config=(.*)", argument, re.DOTALL):
            argument = CONFIG + expanded("--config", match[1])
        text.append(argument)
    return text


def exit_on_error(main: Callable[[], None], interrupted: str = STARTS_ANEW) -> None:
    """Calls `main` and turns a user's errors into a sentence and exit code 2."""
    try:
        main()
    except UserError as error:
        _stop(str(error))
    except Exception as error:
        if sentence := _known(error):
            _stop(sentence)
        raise
    except KeyboardInterrupt as stopped:
        _leave(_signal(stopped), interrupted)


def _known(error: Exception) -> str | None:
    """Returns a sentence for an error of this machine's disks or devices; None for a bug."""
    place = str(getattr(error, "filename", None) or "")
    if is_disk_full(error):
        return str(disk_is_full(place or "the output"))
    if isinstance(error, OSError) and place:
        return f"{shortened(place)} cannot be used ({error.strerror}): name another."
    platforms = os.environ.get("JAX_PLATFORMS")
    frames = traceback.extract_tb(error.__traceback__)
    if platforms and any(Path(frame.filename).stem == "xla_bridge" for frame in frames):
        return (
            f"JAX_PLATFORMS={platforms}: JAX finds no such device here; install jax with its "
            "plugin, or leave JAX_PLATFORMS unset."
        )
    return None


def _interrupt(interrupted: str, number: int, frame: FrameType | None) -> None:
    # During an import an exception may be swallowed, or end in C++. Nothing needs cleaning up then,
    # so the process exits at once.
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            _leave(number, interrupted)
        frame = frame.f_back
    raise KeyboardInterrupt(number)


def _leave(number: int, interrupted: str) -> NoReturn:
    """Ends the process without Python's shutdown, in which a still computing XLA would crash."""
    os.write(2, f"\nInterrupted: {interrupted}\n".encode())
    with contextlib.suppress(RuntimeError):  # a signal came in the middle of printing
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(INTERRUPTED + number)


def _signal(stopped: BaseException | None) -> int:
    """Returns the signal's number; Python's own KeyboardInterrupt carries none, so it is SIGINT."""
    numbers = [n for n in getattr(stopped, "args", ()) if isinstance(n, int)]
    return (numbers or [signal.SIGINT])[0]


def _unraisable(lost: Any) -> None:
    """Handles exceptions that Python cannot raise.

    A Ctrl-C while XLA compiles is often raised in its garbage callback and lost, so it is sent
    again. After a failed read or write, Orbax's other tasks report a closed event loop; these
    reports are dropped.
    """
    if lost.exc_type is KeyboardInterrupt:
        again = [threading.main_thread().ident, _signal(lost.exc_value)]
        threading.Timer(0.1, signal.pthread_kill, again).start()
    elif "Event loop is closed" not in str(lost.exc_value):
        sys.__unraisablehook__(lost)


def _stop(sentence: str) -> NoReturn:
    print(f"error: {printable(sentence)}", file=sys.stderr)
    sys.exit(USAGE_ERROR)


def _sentence(error: Exception, argv: Sequence[str]) -> str:
    """Rewrites absl's or ml_collections' message about the flags as one sentence."""
    text = str(error).strip()
    if isinstance(error, flags.Error) and not re.search(r"--?(no)?config\.", text):
        if wrong := re.match(
            r"flag (--\w+=(.*)): (?:invalid literal for int|could not conv)", text
        ):
            kind = _TYPES[int if "int" in text else float]
            return f"{wrong[1]}: '{wrong[2]}' is not {kind} (see --help)."
        return " ".join(text.split()).rstrip(".") + " (see --help)."
    name = next((a.removeprefix(CONFIG) for a in argv if a.startswith(CONFIG)), "")
    if "Failed loading config file" in text:
        first = next(iter(ENTRIES.values()))
        return f"--config={name}: there is no such file; try --config={first.config}:small."
    try:
        config: Any = flags.FLAGS["config"].parser.parse(name)
        system = config.system
    except Exception as error:
        reason = f"{type(error).__name__}: {_last_line(str(error))}"
        return f"--config={name}: this is not a config file that can be read ({reason})."
    for argument in argv:
        if wrong := re.match(r"--?(?:no)?config\.([\w.]+)(?:=(.*))?$", argument):
            if sentence := _wrong_field(config, wrong[1], wrong[2]):
                return f"{argument}: {sentence}"
    return f"--config={name} ({system}): {_last_line(text)}"


def _wrong_field(config: Any, path: str, value: str | None) -> str | None:
    """Returns why an override of a config field is invalid; None where it is valid."""
    part, names = config, path.split(".")
    for name in names:
        known = [field.name for field in fields(part)] if is_dataclass(part) else []
        if name not in known:
            close = difflib.get_close_matches(name, known, 3) or known
            hint = f"; choose {_any_of(close)}" if close else ""
            return f"there is no config field '{name}'{hint}."
        part = getattr(part, name)
    if is_dataclass(part):
        some = fields(part)[0].name
        return f"this is a group of fields; set one of them, as --config.{path}.{some}=..."
    kind = type(part)
    try:
        if value is None:
            raise ValueError
        kind(value)
        fits = kind is not bool or value.lower() in ("true", "false", "1", "0")
    except ValueError:
        fits = kind is bool and value is None
    return None if fits else f"'{value or ''}' is not {_TYPES.get(kind, 'a value of its kind')}."


def _any_of(names: list[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()] or ["unknown"]
    return re.sub(r"^[\w.]*(Error|Exception): ", "", lines[-1].strip())
