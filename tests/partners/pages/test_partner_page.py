"""A partner's page leads from nothing to the first automatic payout, and shows no secret."""

import pytest
from django.utils import timezone

from partners import webhook_tokens, work
from partners.models import LoanProduct, MifosConnection, MpesaShortcode, Partner
from paymentvault.models import Job, User
from tests.partners.conftest import CANARY
from tests.partners.pages.people import ALL, SEES, words

URL = "/partners/pamoja/"
STEPS = [
    "Set the partner’s limits", "Enter the Mifos X connection",
    "Choose the payment type for M-Pesa", "Test the connection", "Make the webhook’s address",
    "Register the hook in Mifos X", "Choose the loan products", "Enter the M-Pesa shortcode",
    "Test M-Pesa", "Switch the connection on", "Switch automatic disbursement on",
]  # fmt: skip


def steps(client):
    return client.get(URL).context["steps"]


def done(client):
    return [step.name for step in steps(client) if step.is_done]


@pytest.fixture
def bare(lender):
    """A partner with nothing set up."""
    Partner.objects.update(is_automatic=False)
    return lender


def test_of_a_new_partner_every_step_is_to_do_and_the_first_that_must_be_is_next(admin, bare):
    answer = admin.get(URL)

    assert [step.name for step in answer.context["steps"]] == STEPS
    assert not any(step.is_done for step in answer.context["steps"])
    assert answer.context["next"].name == STEPS[1]
    assert ">Optional</span>" in words(answer)
    assert "10 steps left to the first automatic payout" in words(answer)


def test_what_stands_on_another_step_can_t_be_pressed_yet(admin, bare):
    possible = [step.name for step in steps(admin) if step.is_possible]

    assert possible == [STEPS[0], STEPS[1], STEPS[7]]


def test_without_limits_of_its_own_every_step_is_done_all_the_same(
    admin, bare, connection, shortcode
):
    MifosConnection.objects.update(hook_id=4, webhook_token="x" * 24)
    LoanProduct.objects.create(connection=connection, product_id=1, name="Biashara Loan",
                               is_automatic=True)  # fmt: skip
    Partner.objects.update(is_automatic=True)

    answer = admin.get(URL)

    assert "every step is done" in words(answer)
    assert (answer.context["left"], answer.context["next"]) == ([], None)


def test_each_step_is_done_when_it_is(admin, bare, connection, shortcode):
    MifosConnection.objects.update(is_on=False, configured_at=None, webhook_token="",
                                   payment_type_id=None)  # fmt: skip
    MpesaShortcode.objects.update(credential_proved_at=None)
    assert done(admin) == [STEPS[1], STEPS[7]]

    Partner.objects.update(max_amount=100_000)
    MifosConnection.objects.update(payment_type_id=26)
    assert done(admin) == [STEPS[0], STEPS[1], STEPS[2], STEPS[7]]

    now = timezone.now()
    MifosConnection.objects.update(configured_at=now, webhook_token="x" * 24, hook_id=4)
    LoanProduct.objects.create(connection=connection, product_id=1, name="Biashara Loan",
                               is_automatic=True)  # fmt: skip
    MpesaShortcode.objects.update(credential_proved_at=now)
    assert done(admin) == STEPS[:9]

    MifosConnection.objects.update(is_on=True)
    Partner.objects.update(is_automatic=True)
    assert done(admin) == STEPS
    assert "every step is done" in words(admin.get(URL))


def registered(partner, at):
    Job.objects.create(kind=work.REGISTER, about=work.about(partner), state="done", title="x",
                       started_by=User.objects.get(), ended_at=at)  # fmt: skip


def test_a_rotated_address_must_be_registered_again(admin, lender, connection):
    MifosConnection.objects.update(hook_id=4)
    assert STEPS[5] in done(admin)

    registered(lender, timezone.now())
    webhook_tokens.generate(connection)
    assert STEPS[5] not in done(admin)

    registered(lender, timezone.now())
    assert STEPS[5] in done(admin)


def test_a_hook_that_a_later_test_finds_inactive_is_not_registered(admin, lender, connection):
    registered(lender, timezone.now())
    inactive = [{"name": "Hook", "result": "warning", "words": "The hook is not active."}]

    MifosConnection.objects.update(hook_id=4, last_test=inactive, last_tested_at=timezone.now())
    assert STEPS[5] not in done(admin)

    connection.events.create(form="native", body="{}")
    assert STEPS[5] in done(admin)


def test_our_own_test_event_is_no_sign_of_mifos(admin, connection):
    # As it is kept: while it waits, and where the connection is off, its entity isn't read.
    connection.events.create(form="native", body="{}", headers=work.TRIAL_HEADERS)
    assert STEPS[5] not in done(admin)
    assert "Mifos X hasn’t called it yet." in words(admin.get(URL))

    connection.events.create(form="native", body="{}", headers={"X-Fineract-Entity": "LOAN"})
    assert STEPS[5] in done(admin)


def test_a_test_before_the_address_was_made_says_nothing_of_the_hook(admin, connection):
    before = [{"name": "Hook", "result": "warning", "words": "No webhook address was made yet."}]
    MifosConnection.objects.update(last_test=before, last_tested_at=timezone.now())

    step = next(step for step in steps(admin) if step.name == STEPS[5])
    assert not step.is_done and step.words.startswith("In one click")


def test_a_shortcode_that_is_not_the_default_pays_nothing(admin, shortcode):
    MpesaShortcode.objects.update(is_default=False)

    step = next(step for step in steps(admin) if step.name == STEPS[7])
    assert not step.is_done and "None is active and the default" in step.words


@pytest.mark.lesson(15)
def test_no_secret_is_on_any_page(admin, bare, mifos_form, mpesa_form):
    connection = mifos_form(oauth_token_url="https://sso.test/token", oauth_client_id="vault",
                            oauth_client_secret=f"{CANARY}-oauth").save()  # fmt: skip
    shortcode = mpesa_form().save()
    LoanProduct.objects.create(connection=connection, product_id=1, name="Biashara Loan")

    pages = [
        "/partners/", URL, f"{URL}edit/", f"{URL}mifos/", f"{URL}mifos/webhook/",
        f"{URL}mifos/products/", f"{URL}mifos/on/", f"{URL}automatic/",
        f"{URL}mpesa/{shortcode.pk}/edit/",
    ]  # fmt: skip
    for page in pages:
        answer = admin.get(page)
        assert answer.status_code in (200, 409), page
        assert CANARY not in answer.content.decode(), page


def test_it_asks_the_database_at_most_a_dozen_things(
    signed_in, connection, shortcode, django_assert_max_num_queries
):
    client = signed_in(*ALL)
    LoanProduct.objects.bulk_create(
        LoanProduct(connection=connection, product_id=n, name=f"Loan {n}") for n in range(40)
    )

    with django_assert_max_num_queries(12):
        assert client.get(URL).status_code == 200


def test_who_may_only_look_sees_no_button(signed_in, connection, shortcode):
    page = words(signed_in(*SEES).get(URL))

    assert "Pesa Pamoja" in page and "checklist" in page
    main = page.partition("<main")[2]
    assert "<form" not in main and "<button" not in main


def test_a_partner_that_there_isn_t_is_not_found(admin, lender):
    assert admin.get("/partners/umoja/").status_code == 404


def test_without_the_right_it_isn_t_shown(signed_in, lender):
    assert signed_in().get(URL).status_code == 403
