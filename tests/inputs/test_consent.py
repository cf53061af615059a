import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.inputs.consent import consent_id, read_consent

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
