import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from absl import flags
from ml_collections import config_flags

from lumiere_jax.commands import cli

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "lumierenet.py"


def script(*arguments):
    """Exit code, standard output and standard error of one of the project's scripts."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", ["prepare", "train", "infer", "evaluate"])
def test_help_says_what_to_type_and_exits_with_0(name):
    code, out, err = script(f"{name}.py", "--help")
    assert (code, err) == (0, "")
    assert f"python {name}.py --" in out
    assert ("--workdir" if name == "train" else "--out") in out.split("Flags:")[1]


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["train.py", "--confg=x"], "Unknown command line flag 'confg'. Did you mean: config"),
        (["prepare.py", "--size=large"], "--size=large: 'large' is not a whole number"),
        (["prepare.py", "--synthetic"], "name --out, and either --footage or --synthetic"),
        (["prepare.py", "--synthetic", "--out=x", "--crop=0,0,64"], "--crop goes with --footage"),
        (["prepare.py", "--footage=x", "--out=x", "--seed=1"], "--seed goes with --synthetic"),
        (["experiments.py", "--data=x", "--out=y", "--plain=z"], "--plain goes with --which=abl"),
        (
            ["experiments.py", "--data=x", "--out=y", "--steps=3"],
            "--steps is not for --which=paper of 'lumierenet'",
        ),
        (
            ["experiments.py", "--data=x", "--out=y", "--config=a:b", "--system=temporal_gan"],
            "--system does not go with --config",
        ),
        (
            ["experiments.py", "--data=x", "--out=y", "--system=temporal_gan", "--which=paper"],
            "--which=paper is no experiment of 'temporal_gan': choose ablation",
        ),
        (
            ["experiments.py", "--data=x", "--out=y", "--system=temporal_gan", "--plain=z"],
            "--plain is not for --which=ablation of 'temporal_gan'",
        ),
        (["train.py"], "name --config, --data and --workdir"),
        (["infer.py", "narration.wav"], "'narration.wav' is not a flag"),
        (["infer.py", "--workdir=x", "--audio=-", "--out=y.mp4"], "--audio=- and --out=- go with"),
        (["infer.py", "--preset=quick"], "--preset=quick: value should be one of <ultrafast|"),
        (["train.py", "--config=configs/none.py:tiny"], "configs/none.py:tiny: there is no such"),
    ],
)
def test_a_mistake_in_the_flags_is_one_sentence_and_exits_with_2(
    run_in_process, arguments, sentence
):
    code, out, err = run_in_process(*arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.startswith("error: ") and err.count("\n") == 1


def test_a_name_that_is_no_utf_8_is_told_in_one_line_and_exits_with_2():
    code, out, err = script("infer.py", b"--verify=caf\xe9\n.mp4")
    assert (code, out) == (2, "")
    assert r"caf\xe9\n.mp4: there is no such file" in err and err.count("\n") == 1


def test_a_name_that_is_no_utf_8_is_printed(tmp_path):
    program = """
        import sys
        from lumiere_jax.commands import cli
        cli.run(lambda: print(sys.argv[0], "is done"))
    """
    path = tmp_path / os.fsdecode(b"caf\xe9.py")
    path.write_text(textwrap.dedent(program))
    done = run(path)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.endswith("/caf\\xe9.py is done\n")


def parsed(monkeypatch, capsys, *arguments):
    """What `cli.parse` says to these arguments of a script with a config."""
    argv, fresh = ["train.py", *arguments], flags.FlagValues()
    # ml_collections reads every config into the same module, over what was there.
    monkeypatch.delitem(sys.modules, "config_config", raising=False)
    config_flags.DEFINE_config_file("config", None, "", flag_values=fresh, sys_argv=argv)
    monkeypatch.setattr(cli.flags, "FLAGS", fresh)
    try:
        cli.parse(argv)
    except SystemExit as stop:
        err = capsys.readouterr().err
        assert stop.code == 2 and err.startswith("error: ") and err.count("\n") == 1
        return err
    return fresh.config


@pytest.mark.parametrize(
    "field, sentence",
    [
        ("vae.stepss=3", "no config field 'stepss'; choose steps"),
        ("vea.steps=3", "no config field 'vea'; choose vae"),
        ("vae.steps.more=3", "no config field 'more'"),
        ("vae.steps=many", "'many' is not a whole number"),
        ("vae.learning_rate=slow", "'slow' is not a number"),
        ("seqpix2pix.conditional_discriminator=maybe", "'maybe' is not true or false"),
        ("vae=3", "this is a group of fields; set one of them, as --config.vae.pixel=..."),
    ],
)
def test_a_wrong_field_is_named_as_it_was_written(monkeypatch, capsys, field, sentence):
    err = parsed(monkeypatch, capsys, f"--config={CONFIG}:tiny", f"--config.{field}")
    assert err.startswith(f"error: --config.{field}: ") and sentence in err


def test_right_fields_are_set(monkeypatch, capsys):
    config = parsed(
        monkeypatch,
        capsys,
        f"--config={CONFIG}:tiny",
        "--config.vae.steps=7",
        "--config.vgg=random",
        "--config.seqpix2pix.conditional_discriminator=true",
        "--config.vgg_layers=relu1_1,relu2_1",
    )
    assert config.vae.steps == 7 and config.vgg == "random"
    assert config.seqpix2pix.conditional_discriminator is True
    assert config.vgg_layers == ("relu1_1,relu2_1",)  # split when it is checked


@pytest.mark.parametrize("separate", [False, True])
def test_the_config_may_have_any_name(monkeypatch, capsys, tmp_path, separate):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "cfg [1]"
    folder.mkdir()
    (folder / "my conf.py").write_text(CONFIG.read_text())

    def typed(name):
        return ["--config", name] if separate else [f"--config={name}"]

    steps = "--config.vae.steps=7"
    assert parsed(monkeypatch, capsys, *typed("~/cfg [1]/my conf.py:tiny"), steps).vae.steps == 7
    wrong = parsed(monkeypatch, capsys, *typed("~/cfg [1]/no conf.py:tiny"))
    assert f"--config={folder}/no conf.py:tiny: there is no such file" in wrong
    wrong = parsed(monkeypatch, capsys, *typed("~nobodyhere/conf.py:tiny"))
    assert "--config=~nobodyhere/conf.py:tiny: there is no user 'nobodyhere'" in wrong


def test_an_unknown_preset_names_those_there_are(monkeypatch, capsys):
    err = parsed(monkeypatch, capsys, f"--config={CONFIG}:huge")
    assert "no preset 'huge': choose lecture, paper, small, demo, tiny" in err


@pytest.mark.parametrize(
    "text, reason",
    [
        ("a lecture", "SyntaxError"),
        ("x = 1", "get_config"),
        ("def get_config(): return 1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_config_file_that_fails_is_named(monkeypatch, capsys, tmp_path, text, reason):
    (tmp_path / "mine.py").write_text(text)
    err = parsed(monkeypatch, capsys, f"--config={tmp_path}/mine.py")
    assert f"{tmp_path}/mine.py: this is not a config file that can be read" in err
    assert reason in err


def run(*arguments, **environment):
    """A program of its own, to its end."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_cleans_up_even_where_the_first_signal_is_lost(number, tmp_path):
    program = textwrap.dedent("""
        import gc, os, signal, sys, time
        from lumiere_jax.commands import cli

        class Lost:
            def __del__(self):  # like XLA's callback: what is raised here is ignored
                os.kill(os.getpid(), NUMBER)
                time.sleep(0)

        def main():
            try:
                lost = Lost()
                del lost
                time.sleep(120)
            finally:
                print("cleaned up", flush=True)

        if NUMBER == signal.SIGINT:  # which is ignored where these tests run in the background
            signal.signal(signal.SIGINT, signal.default_int_handler)
        cli.run(main)
    """)
    program = program.replace("NUMBER", repr(int(number)))
    (tmp_path / "program.py").write_text(program)
    done = run(tmp_path / "program.py")
    assert done.returncode == cli.INTERRUPTED + number
    assert done.stdout == "cleaned up\n"
    assert done.stderr.strip().startswith("Interrupted") and "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_an_import_is_neither_swallowed_nor_a_traceback(number, tmp_path):
    (tmp_path / "slow.py").write_text(
        f"import os\ntry:\n    os.kill(os.getpid(), {int(number)})\n"
        "    import time\n    time.sleep(120)\n"
        "except BaseException:\n    pass\n"  # as extension modules do
    )
    (tmp_path / "program.py").write_text(
        "import signal\n"
        "from lumiere_jax.commands import cli\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def main():\n    import slow\n    print('went on')\n"
        "cli.run(main)\n"
    )
    done = run(tmp_path / "program.py")
    assert done.returncode == cli.INTERRUPTED + number
    assert done.stderr.strip() == f"Interrupted: {cli.STARTS_ANEW}" and not done.stdout


def test_a_device_that_is_not_there_is_a_sentence():
    program = "from lumiere_jax.commands import cli\nimport jax\ncli.exit_on_error(jax.devices)"
    done = run("-c", program, JAX_PLATFORMS="cuda")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "error: JAX_PLATFORMS=cuda: JAX finds no such device here" in done.stderr


def test_a_name_that_no_disk_knows_is_a_sentence(capsys, tmp_path):
    with pytest.raises(SystemExit) as stopped:
        cli.exit_on_error(lambda: (tmp_path / ("l" * 5000)).stat())
    assert stopped.value.code == 2
    err = capsys.readouterr().err
    assert "l…l" in err and "cannot be used (File name too long): name another." in err
    assert len(err) < 300


def test_a_full_disk_is_a_sentence_and_a_defect_is_not(capsys):
    def full():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "lecture.mp4")

    with pytest.raises(SystemExit) as stopped:
        cli.exit_on_error(full)
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("error: lecture.mp4 cannot be written, the disk is")
    with pytest.raises(ZeroDivisionError):
        cli.exit_on_error(lambda: 1 / 0)
