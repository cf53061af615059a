import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.dataset.consent import consent_id, read_consent

WHOLE = {"who": '"Ada"', "when": "2026-01-31", "purpose": '"lectures"'}


def write(path, fields):
    path.write_text("".join(f"{name} = {value}\n" for name, value in fields.items()))
    return path


def test_a_whole_record_is_kept_with_its_dates_as_text_and_whatever_else_it_says(tmp_path):
    record = read_consent(write(tmp_path / "c.toml", {**WHOLE, "until": "2030-01-01"}))
    assert record == {
        "who": "Ada",
        "when": "2026-01-31",
        "purpose": "lectures",
        "until": "2030-01-01",
    }


def test_a_missing_record_says_what_to_write(tmp_path):
    for path, message in ((None, "--consent"), (tmp_path / "no.toml", "no.toml cannot be read")):
        with pytest.raises(UserError, match=message) as caught:
            read_consent(path)
        assert all(field in str(caught.value) for field in WHOLE)


@pytest.mark.parametrize("field", WHOLE)
@pytest.mark.parametrize("value", [None, '""', '"  "'])
def test_a_field_that_is_missing_or_empty_is_named(tmp_path, field, value):
    fields = {name: text for name, text in WHOLE.items() if name != field}
    path = write(tmp_path / "c.toml", fields if value is None else {**fields, field: value})
    with pytest.raises(UserError, match=f"c.toml has no '{field}'"):
        read_consent(path)


def test_what_is_no_toml_or_no_date_is_named(tmp_path):
    (tmp_path / "c.toml").write_text("= Ada")
    with pytest.raises(UserError, match="c.toml is not TOML"):
        read_consent(tmp_path / "c.toml")
    (tmp_path / "c.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="c.toml cannot be read"):
        read_consent(tmp_path / "c.toml")
    with pytest.raises(UserError, match="'soon': write a date"):
        read_consent(write(tmp_path / "c.toml", {**WHOLE, "when": '"soon"'}))


def test_the_identifier_is_of_the_content_not_of_the_order():
    assert consent_id({"who": "a", "when": "b"}) == consent_id({"when": "b", "who": "a"})
    assert consent_id({"who": "a"}) != consent_id({"who": "b"})


@pytest.mark.parametrize(
    "data",
    [
        b"a = " + b"[" * 100_000,
        b"a." * 20_000 + b"a = 1",
        b"who = " + b"9" * 5000,
        b'who = "\\ud800"',
        b'who = "Ada"\nwho = "Eve"',
        b"\0" * 99,
        b"#" * 2**20,
    ],
)
def test_what_would_take_long_or_break_later_is_named(tmp_path, data):
    (tmp_path / "c.toml").write_bytes(data)
    with pytest.raises(UserError, match=r"c\.toml is not TOML"):
        read_consent(tmp_path / "c.toml")


@pytest.mark.parametrize("value", ["[1, 2]", "{a = 1}", "7", "true", "nan"])
def test_somebody_and_a_purpose_are_texts(tmp_path, value):
    for field in ("who", "purpose"):
        with pytest.raises(UserError, match=f"c.toml has no '{field}'"):
            read_consent(write(tmp_path / "c.toml", {**WHOLE, field: value}))


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(
    text=st.text('who="Ad\n[].,{}#\\0123-:TZ_ ') | st.text(),
    place=st.integers(0, 60),
    length=st.integers(0, 9),
)
def test_damage_gives_a_record_or_one_error(tmp_path_factory, text, place, length):
    path = write(tmp_path_factory.mktemp("consent") / "c.toml", WHOLE)
    whole = path.read_text()
    path.write_text(whole[:place] + text + whole[place + length :], "utf-8", "surrogatepass")
    with contextlib.suppress(UserError):
        record = read_consent(path)
        assert all(isinstance(record[field], str) for field in WHOLE)
        assert len(consent_id(record)) == 16
