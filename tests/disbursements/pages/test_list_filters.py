"""What each filter lets through, as tables."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from disbursements.models import Attempt, Case, Disbursement
from disbursements.pages import filters
from disbursements.states import Status
from partners.models import LoanProduct, Partner
from tests.disbursements.pages.listed import LIST, allowed, many, of, references
from tests.disbursements.pages.people import signed_in

S = Status


@pytest.fixture
def browser(baraka):
    return signed_in(allowed(baraka, "view_disbursement"))


@pytest.fixture
def found(browser):
    """Which rows a query shows."""
    return lambda **query: sorted(references(browser.get(LIST, query)))


@pytest.fixture
def peter(manual, shortcode):
    """One disbursement with everything to search by, beside two others."""
    manual(S.SENT, msisdn="254733909808", client_name="Joseph Kamau", loan_id=9)
    row = manual(
        S.PAID, msisdn="254712345678", client_name="Peter Otieno Ouma", loan_id=3198,
        loan_account="A-003198", mpesa_receipt="TJM7ABCDEF",
    )  # fmt: skip
    Attempt.objects.create(
        disbursement=row, shortcode=shortcode, msisdn=row.msisdn, amount_kes=10_000, status="paid",
        originator_conversation_id="5f1c2e0a-8d6b-4a0e-9a53-b1d2b4c90b77",
        conversation_id="AG_20261123_00005797af5d7d75f652",
    )  # fmt: skip
    manual(S.FAILED, msisdn="254101555010", client_name="Fatuma Ali", loan_id=11)
    return row


SEARCHES = [
    "DSB-{pk}", "dsb-{pk}", "dsb {pk}", "DSB{pk}", "{pk}", "  DSB-{pk} ",
    "3198", "A-003198",
    "0712345678", "0712 345 678", "+254712345678", "254712345678", "712345678", "0712-345-678",
    "071234", "254 712 345",
    "TJM7ABCDEF", "tjm7abcdef",
    "5f1c2e0a-8d6b-4a0e-9a53-b1d2b4c90b77", "5F1C2E0A-8D6B-4A0E-9A53-B1D2B4C90B77",
    "AG_20261123_00005797af5d7d75f652",
    "peter", "OTIENO", "ouma peter", "Peter O", "tien",
]  # fmt: skip


@pytest.mark.parametrize("text", SEARCHES)
def test_a_search_finds_it_by_whatever_it_is_known_by(found, peter, text):
    assert found(q=text.format(pk=peter.pk)) == [peter.reference]


@pytest.mark.parametrize(
    "text", ["DSB-0", "0799999999", "TJM7ABCDE", "peter kamau", "9" * 18, "100%", "pe_er", "33%99"]
)
def test_a_search_for_what_is_not_there_finds_nothing(found, peter, text):
    assert found(q=text) == []


@pytest.mark.parametrize("text", ["a", "Ab", "--", "%", "a b c", "é", "12 x"])
def test_a_search_that_would_read_every_row_says_what_to_type(browser, peter, text):
    answer = browser.get(LIST, {"q": text})

    assert "Type a whole reference" in answer.content.decode()
    assert references(answer) == []


def day(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def four(lender, manual, connection):
    """Four that differ in everything that is filtered on, as a, b, c and d."""
    other = Partner.objects.create(name="Jamii", code="jamii")
    LoanProduct.objects.create(connection=connection, product_id=4, name="Biashara")
    rows = {
        "a": manual(S.HELD, amount=100, gross_amount=100),
        "b": manual(S.IN_DOUBT, amount=2_500, gross_amount=2_500, partner=other),
        "c": manual(
            S.PAID, amount=9_000, gross_amount=9_000, connection=connection, loan_id=1,
            product_id=4, origin="mifos_webhook", mpesa_receipt="TJM7CCCCCC",
            # 23:30 of the 9th in Nairobi
            paid_at=day("2026-03-09T20:30"),
        ),
        "d": manual(
            S.PAID, amount=12_000, gross_amount=12_000, mpesa_receipt="TJM7DDDDDD",
            # 00:30 of the 10th in Nairobi
            paid_at=day("2026-03-09T21:30"),
        ),
    }  # fmt: skip
    for number, row in enumerate(rows.values()):
        entered = day("2026-03-01T12:00") + timedelta(days=number)
        Disbursement.objects.filter(pk=row.pk).update(created_at=entered)
    return rows


FILTERS = [
    ({"status": "held"}, "a"),
    ({"status": ["held", "in_doubt"]}, "ab"),
    ({"partner": "jamii"}, "b"),
    ({"partner": "pamoja"}, "acd"),
    ({"origin": "mifos_webhook"}, "c"),
    ({"amount_from": "2500"}, "bcd"),
    ({"amount_to": "2,500.00"}, "ab"),
    ({"amount_from": "KES 2 500", "amount_to": "9000"}, "bc"),
    ({"entered_from": "2026-03-03"}, "cd"),
    ({"entered_to": "2026-03-02"}, "ab"),
    ({"entered_from": "02/03/2026", "entered_to": "2026-03-02"}, "b"),
    ({"paid_to": "2026-03-09"}, "c"),
    ({"paid_from": "2026-03-10"}, "d"),
    ({"paid_from": "2026-03-09", "paid_to": "2026-03-10"}, "cd"),
    ({"status": "paid", "partner": "pamoja", "amount_to": "9000"}, "c"),
    ({"q": "", "status": "", "partner": "", "view": "", "paid_to": ""}, "abcd"),
    ({"unknown": "x", "utm_source": "y"}, "abcd"),
    ({"view": "unrecorded"}, "c"),
]


@pytest.mark.parametrize("query, letters", FILTERS)
def test_a_filter_lets_through_what_it_names(found, four, query, letters):
    assert found(**query) == sorted(of(four[letter] for letter in letters))


def test_a_loan_product_is_its_partners(found, four, lender):
    product = LoanProduct.objects.get()

    assert found(product=product.pk) == [four["c"].reference]


BROKEN = [
    ({"status": "happy"}, "status", "no status that there is"),
    ({"partner": "nobody"}, "partner", "no partner that there is"),
    ({"product": "0"}, "product", "no loan product that there is"),
    ({"origin": "post"}, "origin", "no way to come by that there is"),
    ({"amount_from": "much"}, "amount_from", "Enter a sum in shillings"),
    ({"amount_from": "NaN"}, "amount_from", "Enter a sum in shillings"),
    ({"amount_to": "-1"}, "amount_to", "greater than or equal to 0"),
    ({"amount_to": "9" * 15}, "amount_to", "no more than"),
    ({"entered_from": "yesterday"}, "entered_from", "Enter a day such as"),
    ({"paid_to": "9999-12-31"}, "paid_to", "Enter a day of this century"),
    ({"entered_from": "0001-01-01"}, "entered_from", "Enter a day of this century"),
    ({"paid_from": "2026-03-02", "paid_to": "2026-03-01"}, "paid_to", "before the first one"),
    ({"amount_from": "2", "amount_to": "1"}, "amount_to", "smaller than the other"),
    ({"q": "x\x00y"}, "q", "Null characters are not allowed"),
    ({"q": "x" * 101}, "q", "at most 100"),
]


@pytest.mark.parametrize("query, field, words", BROKEN)
def test_a_broken_filter_is_told_beside_its_field_and_shows_nothing(
    browser, four, query, field, words
):
    answer = browser.get(LIST, query)

    body = answer.content.decode()
    assert words in body.partition(f'id="id_{field}_error"')[2].partition("</div>")[0]
    assert references(answer) == []
    assert "<title>Error: " in body


def test_a_broken_view_is_told_too(browser, four):
    answer = browser.get(LIST, {"view": "nice"})

    assert "no view that there is" in answer.content.decode()
    assert references(answer) == []


def test_awaiting_me_is_what_others_entered_or_a_partners_loans_are(
    found, baraka, amina, lender, manual
):
    allowed(baraka, "view_disbursement", "approve_disbursement")
    manual(S.AWAITING_APPROVAL, requested_by=baraka)
    theirs = manual(S.AWAITING_APPROVAL, requested_by=amina)
    a_loan = many(lender, 1)[0]
    manual(S.HELD)

    assert found(view="mine") == sorted(of([theirs, a_loan]))


def test_needs_attention_is_what_only_a_person_settles(found, manual, connection):
    long_ago = timezone.now() - timedelta(minutes=30)
    loan = {"connection": connection, "status_at": long_ago}
    expected = [manual(status) for status in (S.HELD, S.IN_DOUBT, S.FAILED)]
    expected.append(manual(S.PAID, loan_id=1, mpesa_receipt="TJM7AAAAAA", **loan))
    expected.append(with_case := manual(S.RECORDED, mpesa_receipt="TJM7BBBBBB"))
    Case.objects.create(kind="contradiction", words="Look.", disbursement=with_case)
    closed = manual(S.RECORDED, mpesa_receipt="TJM7CCCCCC")
    Case.objects.create(kind="x", words="x", disbursement=closed, closed_at=timezone.now())
    manual(S.PAID, mpesa_receipt="TJM7DDDDDD", status_at=long_ago)
    manual(S.PAID, loan_id=2, connection=connection, mpesa_receipt="TJM7EEEEEE")
    manual(S.SENT)

    assert found(view="attention") == sorted(of(expected))


def test_filters_in_force_are_chips_that_drop_one_at_a_time(browser, four):
    query = {"status": ["held", "paid"], "partner": "pamoja", "amount_from": "50", "sort": "amount"}

    body = browser.get(LIST, query).content.decode()

    assert "Status: <strong>Held</strong>" in body
    assert "Partner: <strong>Pesa Pamoja</strong>" in body
    assert "Sum from: <strong>KES 50.00</strong>" in body
    without_held = "status=paid&amp;partner=pamoja&amp;amount_from=50&amp;sort=amount"
    assert f'href="{LIST}?{without_held}"' in body


def test_a_saved_view_is_marked_while_it_is_what_is_shown(browser, four):
    marked = '<a href="/disbursements/?status=in_doubt" aria-current="true">In doubt</a>'

    assert marked in browser.get(LIST, {"status": "in_doubt"}).content.decode()
    assert marked not in browser.get(LIST, {"status": ["in_doubt", "held"]}).content.decode()


def test_without_script_the_form_keeps_what_was_chosen(browser, four):
    body = browser.get(LIST, {"status": "held", "amount_from": "50", "q": "Amina"}).content.decode()

    assert 'value="held" id="id_status_1" checked' in body
    assert 'value="50"' in body
    assert 'value="Amina"' in body
    assert '<details class="more" open>' in body


def test_of_many_loan_products_some_are_offered_and_the_one_that_was_asked_for(
    found, four, browser, monkeypatch
):
    monkeypatch.setattr(filters, "MOST_PRODUCTS", 1)
    first = LoanProduct.objects.get()
    for number in (90, 91):
        LoanProduct.objects.create(
            connection=first.connection, product_id=number, name=f"Z{number}"
        )
    asked = LoanProduct.objects.get(name="Z91")

    said = browser.get("/disbursements/", {"product": asked.pk}).text

    assert "Z90" not in said and "Z91" in said
    assert "no loan product that there is" not in said
