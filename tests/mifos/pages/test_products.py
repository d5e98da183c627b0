"""Loan products are switched one by one, within sums of their own; every change is told."""

import pytest

from partners.models import LoanProduct, MifosConnection, Partner
from paymentvault.models import AuditEvent, Job
from tests.partners.pages.people import SEES, words

URL = "/partners/pamoja/mifos/products/"


@pytest.fixture
def products(connection):
    return [
        LoanProduct.objects.create(connection=connection, product_id=number, name=name)
        for number, name in ((1, "Biashara Loan"), (2, "Elimu Loan"))
    ]


def typed(admin, **changes):
    """The page's form as it stands, with some fields typed over."""
    formset = admin.get(URL).context["forms"]
    data = {f"form-{name}": value for name, value in formset.management_form.initial.items()}
    for form in formset:
        for field in form:
            value = field.value()
            if value not in (None, False, ""):
                data[field.html_name] = "on" if value is True else str(value)
    return data | changes


def test_one_is_switched_on_within_its_sums_by_two_and_the_audit_tells(admin, confirm, products):
    changes = {"form-0-is_automatic": "on", "form-0-min_amount": "1000",
               "form-0-max_amount": "20000", "reason": "The board wants it."}  # fmt: skip

    answer = admin.post(URL, typed(admin, **changes), REMOTE_ADDR="10.1.2.3")

    assert answer.url == "/partners/pamoja/"
    assert not LoanProduct.objects.filter(is_automatic=True).exists()
    confirm()
    first, second = LoanProduct.objects.order_by("product_id")
    assert (first.is_automatic, first.min_amount, first.max_amount) == (True, 1_000, 20_000)
    assert not second.is_automatic
    line = AuditEvent.objects.get(act="loan product changed")
    assert (line.subject, line.partner_code) == ("Biashara Loan", "pamoja")
    assert (line.actor, line.detail["proposed_by"]) == ("wanjiru", "chege")
    assert line.source_address == "10.1.2.3"
    assert line.detail["max_amount"] == {"from": None, "to": "20000"}
    page = words(admin.get(URL))
    assert (
        "wanjiru changed Biashara Loan: paid automatically; from no limit to KES 1,000.00 at "
        "least; from no limit to KES 20,000.00 at most."
    ) in page


def test_what_isn_t_changed_leaves_no_line(admin, products):
    admin.post(URL, typed(admin))

    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"form-0-min_amount": "5", "form-0-max_amount": "4"}, "smallest sum is larger"),
        ({"form-1-max_amount": "-1"}, "greater than or equal to 0"),
        ({"form-0-min_amount": "much"}, "Enter a number"),
    ],
    ids=str,
)  # fmt: skip
def test_an_error_is_told_and_nothing_is_saved(admin, products, changes, said):
    answer = admin.post(URL, typed(admin, **{"form-1-is_automatic": "on"} | changes))

    assert answer.status_code == 422 and said in words(answer)
    assert not LoanProduct.objects.filter(is_automatic=True).exists()
    assert "checked" in words(answer)


def test_of_two_people_who_save_the_second_is_told_and_may_insist(admin, confirm, products):
    LoanProduct.objects.update(is_automatic=True)
    mine = typed(admin)
    del mine["form-1-is_automatic"]
    LoanProduct.objects.filter(product_id=1).update(max_amount=500)

    answer = admin.post(URL, mine)

    assert answer.status_code == 422 and "Somebody else saved this" in words(answer)
    assert LoanProduct.objects.filter(is_automatic=True).count() == 2
    seen = {form["seen"].html_name: form["seen"].value() for form in answer.context["forms"]}
    assert admin.post(URL, mine | seen | {"reason": "So."}).status_code == 302
    confirm()
    assert not LoanProduct.objects.get(product_id=2).is_automatic


def test_another_partner_s_product_isn_t_reached(admin, products):
    umoja = Partner.objects.create(name="Umoja", code="umoja")
    theirs = MifosConnection.objects.create(partner=umoja, host_url="https://umoja.test")
    other = LoanProduct.objects.create(connection=theirs, product_id=9, name="Theirs")

    tampered = {"form-0-id": str(other.pk), "form-0-is_automatic": "on"}

    assert admin.post(URL, typed(admin, **tampered)).status_code == 422
    assert LoanProduct.objects.count() == 3
    assert not LoanProduct.objects.get(pk=other.pk).is_automatic


def test_asking_again_lists_new_ones_off_and_marks_those_gone(
    admin, press, connection, mifos, products
):
    LoanProduct.objects.filter(product_id=1).update(is_automatic=True)
    LoanProduct.objects.filter(product_id=2).delete()
    LoanProduct.objects.create(connection=connection, product_id=99, name="Gone")

    press(admin, f"{URL}ask/", opens=False)

    found = set(LoanProduct.objects.values_list("product_id", "is_automatic", "is_listed"))
    assert found == {(1, True, True), (2, False, True), (99, False, False)}
    assert Job.objects.get().outcome.startswith("1 new, not paid automatically")
    assert "No longer listed" in words(admin.get(URL))


def test_that_mifos_doesn_t_answer_is_told_and_changes_nothing(
    admin, press, connection, mifos, products
):
    mifos.down = True

    press(admin, f"{URL}ask/", opens=False)

    assert Job.objects.get().state == "failed"
    assert LoanProduct.objects.filter(is_listed=True).count() == 2


def test_who_may_only_look_can_t_change_them(signed_in, products):
    client = signed_in(*SEES)
    data = typed(client, **{"form-0-is_automatic": "on"})

    assert client.post(URL, data).status_code == 403
    assert client.post(f"{URL}ask/").status_code == 403
    assert not LoanProduct.objects.filter(is_automatic=True).exists()
    assert ">Save<" not in words(client.get(URL))


def test_it_asks_the_database_no_more_for_many_products(
    admin, connection, django_assert_max_num_queries
):
    counts = []
    for number in range(40):
        LoanProduct.objects.create(connection=connection, product_id=number, name=f"L {number}")
        if number in (2, 39):
            with django_assert_max_num_queries(12) as told:
                assert admin.get(URL).status_code == 200
            counts.append(len(told))

    assert counts[0] == counts[1]
