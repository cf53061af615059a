"""Medians and ratios of the rounds that nothing disturbed."""

import json

import pytest

QUIET, BUSY = 0.02, 0.4


@pytest.fixture
def compare(script, monkeypatch):
    module = script("compare")
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)

    def between(steps=10, **rounds):
        """The results of two sides that answer with these times and others' shares, in rounds of so
        many steps."""

        class Side:
            def __init__(self, path, case, baseline="ours"):
                self.rounds = iter(rounds[baseline])

            def answer(self):
                return {"steps": steps}

            def round(self):
                ms, foreign = next(self.rounds)
                return {"ms": ms, "foreign": foreign}

            def close(self):
                pass

        monkeypatch.setattr(module, "Timed", Side)
        case = module.Case(name="vae", kind="train", dtype="float32", size=128, batch=1)
        (results,) = module.compare([(case, ["eager"])], module.FOREIGN)
        return results

    return between


def test_a_disturbed_round_counts_for_neither_side(compare):
    ours = [(100, QUIET), (900, QUIET), *((ms, QUIET) for ms in (120, 110, 90, 105))]
    theirs = [(200, QUIET), (10, BUSY), *((ms, QUIET) for ms in (220, 240, 210, 230))]
    (result,) = compare(ours=ours, eager=theirs)
    assert (result["ours_ms"], result["torch_ms"], result["ratio"]) == (105, 220, 2.095)


def test_long_steps_have_fewer_rounds(compare):
    rounds = [(3000, QUIET), (3100, QUIET), (2900, QUIET)]
    (result,) = compare(steps=1, ours=rounds, eager=rounds)
    assert result["ours_ms"] == 3000 and result["ratio"] == 1


def test_two_cases_are_built_at_a_time_unless_they_need_more_room_than_the_largest(script):
    module = script("compare")
    cases = module.grid([128, 256], [1, 4], ["float32", "bfloat16"])
    groups = list(module.groups(cases))
    assert [case for group in groups for case in group] == cases
    pixels = [sum(case.size**2 * case.batch for case in group) for group in groups]
    assert max(pixels) == 4 * 256**2 and max(map(len, groups)) == 2
    assert len(groups) == 32


def test_where_nothing_was_quiet_there_is_no_result(compare, capsys):
    assert compare(ours=[(100, BUSY)] * 15, eager=[(200, QUIET)] * 15) == []
    assert "other work disturbed the rounds" in "".join(capsys.readouterr())


def test_what_is_not_measured_again_stays(script, tmp_path):
    module = script("compare")
    old = {"name": "vae", "device": "a", "batch": 1, "ours_ms": 1.0, "torch_ms": 1.0, "ratio": 1.0}
    path = tmp_path / "results.json"
    assert module._read(path) == {}
    path.write_text(json.dumps([old, old | {"device": "b"}, old | {"batch": 4}]))
    known = module._read(path)
    known[module._key(old | {"ours_ms": 0.5})] = old | {"ours_ms": 0.5}
    assert [result["ours_ms"] for result in known.values()] == [0.5, 1.0, 1.0]
