"""Names and values of fields, and the sets that say what becomes of them."""

from hypothesis import given
from hypothesis import strategies as st

from van.http.fields import END_TO_END, HOP_BY_HOP, NOT_IN_TRAILERS, is_token, is_value


@given(st.binary(max_size=8))
def test_tokens_are_of_visible_characters_without_delimiters(text):
    delimiters = b'"(),/:;<=>?@[\\]{}'
    fits = bool(text) and all(0x20 < each < 0x7F and each not in delimiters for each in text)
    assert is_token(text) == fits


@given(st.binary(max_size=8))
def test_values_have_no_control_characters(text):
    assert is_value(text) == all(each == 9 or (each >= 32 and each != 127) for each in text)


def test_sets_are_of_names_in_lower_case():
    for name in HOP_BY_HOP | END_TO_END | NOT_IN_TRAILERS:
        assert is_token(name)
        assert name == name.lower()


def test_what_is_for_the_next_hop_is_not_for_the_end():
    assert not HOP_BY_HOP & END_TO_END
    assert HOP_BY_HOP < NOT_IN_TRAILERS
