"""One form for a phone number, or none."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from disbursements.msisdn import normalise

AMINA = "254712345678"


@pytest.mark.lesson(19)
@pytest.mark.parametrize(
    "text, msisdn",
    [
        ("0712345678", AMINA),
        ("712345678", AMINA),
        ("254712345678", AMINA),
        ("+254712345678", AMINA),
        ("00254712345678", AMINA),
        ("0712 345 678", AMINA),
        ("+254 712-345.678", AMINA),
        ("(0712) 345678", AMINA),
        ("0712\u00a0345678", AMINA),
        ("\t0712345678\n", AMINA),
        ("0112345678", "254112345678"),
        ("0712345678/0733123456", ""),
        ("0712345678 0733123456", ""),
        ("0712345678, 0733123456", ""),
        ("071234567", ""),
        ("07123456789", ""),
        ("0812345678", ""),
        ("0201234567", ""),
        ("+255712345678", ""),
        ("2540712345678", ""),
        ("++254712345678", ""),
        ("0712345678x", ""),
        ("o712345678", ""),
        ("٠٧١٢٣٤٥٦٧٨", ""),
        ("０７１２３４５６７８", ""),
        ("0712345678\x00", ""),
        ("", ""),
        ("   ", ""),
        (None, ""),
    ],
)
def test_a_number_has_one_form_or_none(text, msisdn):
    assert normalise(text) == msisdn


@given(st.text() | st.text("0123456789+254 7-"))
def test_whatever_is_typed_comes_out_whole_or_empty(text):
    assert re.fullmatch(r"254[17][0-9]{8}|", normalise(text))


@given(st.text("0123456789", min_size=8, max_size=8))
def test_normalising_twice_changes_nothing(rest):
    assert normalise(normalise("07" + rest)) == normalise("07" + rest) == "2547" + rest
