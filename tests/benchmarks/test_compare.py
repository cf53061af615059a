"""Medians and ratios of the rounds that nothing disturbed."""

import pytest

QUIET, BUSY = 0.02, 0.4


@pytest.fixture
def compare(script, monkeypatch):
    module = script("compare")
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)

    def between(**rounds):
        """The results of two sides that answer with these times and others' shares."""

        class Side:
            def __init__(self, path, case, baseline="ours"):
                self.rounds = iter(rounds[baseline])

            def answer(self):
                return {}

            def round(self):
                ms, foreign = next(self.rounds)
                return {"ms": ms, "foreign": foreign}

            def close(self):
                pass

        monkeypatch.setattr(module, "Side", Side)
        case = module.Case(name="vae", kind="train", dtype="float32", size=128, batch=1)
        return list(module.compare(case, ["eager"], module.FOREIGN))

    return between


def test_a_disturbed_round_counts_for_neither_side(compare):
    ours = [(100, QUIET), (900, QUIET), *((ms, QUIET) for ms in (120, 110, 90, 105))]
    theirs = [(200, QUIET), (10, BUSY), *((ms, QUIET) for ms in (220, 240, 210, 230))]
    (result,) = compare(ours=ours, eager=theirs)
    assert (result["ours_ms"], result["torch_ms"], result["ratio"]) == (105, 220, 2.095)


def test_long_steps_have_fewer_rounds(compare):
    rounds = [(3000, QUIET), (3100, QUIET), (2900, QUIET)]
    (result,) = compare(ours=rounds, eager=rounds)
    assert result["ours_ms"] == 3000 and result["ratio"] == 1


def test_where_nothing_was_quiet_there_is_no_result(compare, capsys):
    assert compare(ours=[(100, BUSY)] * 15, eager=[(200, QUIET)] * 15) == []
    assert "other work disturbed the rounds" in "".join(capsys.readouterr())
