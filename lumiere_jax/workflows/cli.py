"""Flags in, one sentence out: every mistake of a user exits with 2 and without a traceback."""

import difflib
import re
import sys
from collections.abc import Callable, Sequence

from absl import app, flags, logging

from lumiere_jax.errors import UserError

USAGE_ERROR, INTERRUPTED = 2, 130
_HELP = {"--help", "-help", "-h", "-?", "--helpshort", "--helpfull"}


def run(main: Callable[[], None]) -> None:
    """Parses the flags, calls `main` and turns mistakes into a sentence and exit code 2.

    absl's own parsing prints usage and exits with 1, and `--help` exits with 1 as well.
    """
    logging.use_absl_handler()
    logging.set_verbosity(logging.WARNING)
    app.run(lambda _: _guarded(main), flags_parser=parse)


def parse(argv: Sequence[str]) -> list[str]:
    """Parses every flag and reads the config once, so that nothing about them fails later."""
    if _HELP & set(argv[1:]):
        print((sys.modules["__main__"].__doc__ or "").strip())
        print("\nFlags:\n" + flags.FLAGS.main_module_help())
        sys.exit(0)
    try:
        rest = flags.FLAGS(argv)
        if len(rest) > 1:
            raise UserError(
                f"'{rest[1]}' is not a flag: write every argument as --name=value (see --help)."
            )
        if "config" in flags.FLAGS:
            _ = flags.FLAGS.config
    except UserError as error:
        _stop(str(error))
    except (flags.Error, KeyError, AttributeError, TypeError, ValueError, OSError) as error:
        _stop(_sentence(error, argv))
    return rest


def _guarded(main: Callable[[], None]) -> None:
    try:
        main()
    except UserError as error:
        _stop(str(error))
    except KeyboardInterrupt:
        print("\nInterrupted: what was saved stays, and the same command goes on.", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _stop(sentence: str) -> None:
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(USAGE_ERROR)


def _sentence(error: BaseException, argv: Sequence[str]) -> str:
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error).strip()
    config = next((a.partition("=")[2] for a in argv if a.startswith("--config=")), "")
    if missing := re.match(r"Field (\S+) not found on dataclass", text):
        name = missing[1]
        given = next((a for a in argv if f".{name}" in a), name).partition("=")[0]
        return f"{given}: there is no config field '{name}'{_similar(name)}."
    if "Failed loading config file" in text or isinstance(error, OSError):
        if "No such file" in text or "Errno 2" in text:
            return f"--config={config}: no such config file; try --config=configs/lumierenet.py."
        return f"--config={config}: the config cannot be read ({_last_line(text)})."
    if "Error whilst parsing config file" in text:
        return f"--config={config}: {_last_line(text)}"
    return _last_line(text).rstrip(".") + " (see --help)."


def _similar(name: str) -> str:
    value = flags.FLAGS["config"].value if "config" in flags.FLAGS else None
    parts = [value, *vars(value).values()] if value is not None else []
    known = {key for part in parts if hasattr(part, "__dict__") for key in vars(part)}
    close = difflib.get_close_matches(name, sorted(known), 3)
    return f"; did you mean {' or '.join(close)}?" if close else "; see configs/ for the fields"


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()] or ["unknown"]
    return re.sub(r"^[\w.]*(Error|Exception): ", "", lines[-1].strip())
