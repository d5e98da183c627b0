"""Asking for a disbursement: once, by the rules, and decided by somebody else."""

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from disbursements.models import ApiRequest, Disbursement
from disbursements.states import Status
from partners.models import Membership, Role
from paymentvault.models import AuditEvent
from tests.api.conftest import Api, code
from tests.disbursements.at_once import at_once, errors

pytestmark = pytest.mark.django_db


def test_a_program_asks_and_a_person_must_decide(program, lender):
    api = program()

    answer = api.ask(reference="inv-7", loan="000042")

    assert answer.status_code == 201
    told = answer.json()
    made = Disbursement.objects.get()
    assert (made.status, made.origin, made.requested_by) == (
        Status.AWAITING_APPROVAL, Disbursement.Origin.API, None,
    )  # fmt: skip
    assert (told["reference"], told["amount"], told["msisdn"]) == (
        made.reference, "1500.00", "254712345678",
    )  # fmt: skip
    assert told["requested_by"] == str(api.key)
    assert told["own_reference"] == "inv-7"
    assert made.transitions.get().by == str(api.key)
    assert "School fees" in made.transitions.get().note


def test_the_detail_tells_the_history_and_who_asked(program):
    api = program()
    made = api.ask(reference="inv-7").json()

    whole = api.get(f"disbursements/{made['id']}").json()

    assert [line["new"] for line in whole["history"]] == ["awaiting_approval"]
    assert (whole["own_reference"], whole["requested_by"]) == ("inv-7", str(api.key))
    assert whole["attempts"] == []


def test_a_person_who_asks_is_its_maker(person):
    api = person(Role.OPERATOR)

    assert api.ask(partner="pamoja").status_code == 201
    assert Disbursement.objects.get().requested_by == api.user


@pytest.mark.parametrize(
    "changes, field",
    [
        ({"msisdn": "12345"}, "msisdn"), ({"amount": "10.50"}, "amount"),
        ({"amount": "1"}, "amount"), ({"amount": "9999999"}, "amount"), ({"amount": "x"}, "amount"),
        ({"name": ""}, "name"), ({"purpose": None}, "purpose"), ({"name": "a\x00b"}, "name"),
        ({"partner": 7}, "partner"), ({"partner": "no such'"}, "partner"),
        ({"name": "\ud800"}, "name"), ({"reference": "x" * 61}, "reference"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_and_nothing_is_made(program, changes, field):
    answer = program().ask(**changes)

    assert (answer.status_code, code(answer)) == (400, "invalid")
    assert list(answer.json()["error"]["fields"]) == [field]
    assert not Disbursement.objects.exists()


def test_the_rules_of_a_loan_hold_it(program, lender):
    lender.max_amount = 1000
    lender.save()

    assert program().ask().json()["holds"] == ["above_partner_max"]


def test_the_same_sum_to_the_same_number_again_is_held(program):
    api = program()
    api.ask("k-1")

    second = api.ask("k-2").json()

    assert second["holds"] == ["looks_like_duplicate"]


@pytest.mark.parametrize("key", ["", "a b", "ä", "x" * 256])
def test_without_a_good_idempotency_key_nothing_is_made(program, key):
    answer = program().ask(key)

    assert (answer.status_code, code(answer)) == (400, "idempotency_key_required")
    assert not Disbursement.objects.exists()


def test_the_same_key_and_body_get_the_first_answer_though_things_went_on(program, settings):
    api = program()
    first = api.ask()
    Disbursement.objects.get().move(Status.REJECTED, by="baraka")
    settings.MPESA_MAX_AMOUNT = 100

    second = api.ask()

    assert (second.status_code, second.json()) == (201, first.json())
    assert second["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first
    assert Disbursement.objects.count() == 1


def test_the_same_key_with_another_body_is_refused(program):
    api = program()
    api.ask()

    answer = api.ask(amount="1501")

    assert (answer.status_code, code(answer)) == (409, "idempotency_key_reused")
    assert Disbursement.objects.count() == 1


def test_a_rotated_key_asks_under_the_same_idempotency_keys(program):
    first = program().ask()

    assert program(name="The next").ask().json() == first.json()
    assert Disbursement.objects.count() == 1


def test_partners_have_idempotency_keys_of_their_own(program, jamii):
    program().ask()

    assert program(partner=jamii).ask().status_code == 201
    assert Disbursement.objects.count() == 2


def test_an_idempotency_key_is_never_forgotten(program):
    program().ask()

    for act in (
        lambda: ApiRequest.objects.update(body_sha256="x"),
        ApiRequest.objects.all().delete,
    ):
        with pytest.raises(Exception, match="append_only|[Cc]annot"), transaction.atomic():
            act()
    request = ApiRequest.objects.get()
    request.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        request.save(force_insert=True)


@pytest.mark.django_db(transaction=True)
def test_of_many_that_come_at_once_one_is_made_and_all_get_its_answer(program):
    text = program().text

    def ask(_):
        answer = Api(Client(), Authorization=f"Bearer {text}").ask()
        return answer.status_code, answer.json()["id"]

    answers = at_once(ask, range(8))

    assert not errors(answers)
    assert set(answers) == {(201, Disbursement.objects.get().pk)}
    assert ApiRequest.objects.count() == 1
    assert AuditEvent.objects.filter(act="disbursement asked for").count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_bodies_at_once_under_one_key_one_is_made(program):
    text = program().text

    def ask(amount):
        return Api(Client(), Authorization=f"Bearer {text}").ask(amount=str(amount)).status_code

    answers = at_once(ask, range(1000, 1006))

    assert sorted(answers) == [201] + [409] * 5
    assert Disbursement.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_one_that_broke_off_leaves_the_key_free(program, monkeypatch):
    from disbursements import entry

    api = program()
    api.client.raise_request_exception = False
    with monkeypatch.context() as broken:
        broken.setattr(entry.intake, "decide", lambda *_, **__: 1 / 0)
        assert code(api.ask()) == "fault"
    assert not Disbursement.objects.exists()

    assert api.ask().status_code == 201


def test_what_was_asked_for_is_in_the_audit_with_the_key(program):
    api = program()
    api.ask()

    line = AuditEvent.objects.get(act="disbursement asked for")
    assert (line.actor, line.partner_code, line.source_address) == (
        str(api.key), "pamoja", "127.0.0.1",
    )  # fmt: skip
    assert api.text not in str(line.detail)


def test_who_made_the_key_cannot_approve_what_it_asked_for(program, person, baraka, lender):
    asked = program().ask().json()
    Membership.objects.create(user=baraka, role=Role.APPROVER, partner=lender)
    client = Client()
    client.force_login(baraka)

    answer = Api(client).post(f"disbursements/{asked['id']}/approve")

    assert (answer.status_code, code(answer)) == (403, "maker_is_checker")
    assert person(Role.APPROVER).post(f"disbursements/{asked['id']}/approve").status_code == 200


def test_no_key_decides_not_even_about_what_a_person_asked_for(program, ours):
    api = program()

    for act in ("approve", "reject"):
        answer = api.post(f"disbursements/{ours['waiting'].pk}/{act}", {"reason": "x"})
        assert (answer.status_code, code(answer)) == (403, "forbidden")
    ours["waiting"].refresh_from_db()
    assert ours["waiting"].status == Status.AWAITING_APPROVAL


@pytest.mark.parametrize("act, which", [("approve", "waiting"), ("retry", "failed")])
def test_the_maker_is_not_the_checker(amina, lender, ours, act, which):
    Membership.objects.create(user=amina, role=Role.APPROVER, partner=lender)
    client = Client()
    client.force_login(amina)

    answer = Api(client).post(f"disbursements/{ours[which].pk}/{act}", {"reason": "x"})

    assert (answer.status_code, code(answer)) == (403, "maker_is_checker")


def test_a_second_decision_comes_too_late(person, ours):
    api, path = person(Role.APPROVER), f"disbursements/{ours['waiting'].pk}"

    assert api.post(f"{path}/reject", {"reason": "No."}).json()["status"] == "rejected"
    assert code(api.post(f"{path}/approve")) == "wrong_state"
    line = AuditEvent.objects.get(act="disbursement rejected")
    assert (line.user, line.detail["reason"]) == (api.user, "No.")


@pytest.mark.parametrize(
    "query, finds",
    [
        ("loan_account=000042", True), ("own_reference=inv-7", True), ("own_reference=inv", False),
        ("receipt=tjm7xxxxxx", False), ("loan_id=5", False),
    ],
)  # fmt: skip
def test_looking_up(program, query, finds):
    api = program()
    api.ask(reference="inv-7", loan="000042")

    assert len(api.get(f"disbursements/lookup?{query}").json()) == finds


def test_looking_up_by_receipt_and_loan(program, manual, take_in):
    paid = manual(Status.PAID)
    of_loan = take_in(loan_id=3198)
    api = program()

    [by_receipt] = api.get("disbursements/lookup?receipt=tjm7xxxxxx").json()
    [by_loan] = api.get("disbursements/lookup?loan_id=3198").json()

    assert (by_receipt["id"], by_loan["id"]) == (paid.pk, of_loan.pk)


@pytest.mark.parametrize("query", ["", "loan_id=1&receipt=x", "loan=1", "reference=12"])
def test_looking_up_needs_one_thing_to_go_by(program, query):
    assert code(program().get(f"disbursements/lookup?{query}")) == "invalid"


def test_a_list_is_read_page_by_page(program, manual):
    made = {manual(msisdn=f"25471234567{n}").pk for n in range(7)}
    api = program()

    seen, path = [], "disbursements?limit=3"
    while path:
        answer = api.get(path).json()
        seen += [row["id"] for row in answer["results"]]
        path = (answer["next"] or "").partition("/api/v1/")[2]

    assert seen == sorted(made, reverse=True)


def test_the_filters(program, manual):
    held = manual(Status.HELD)
    manual(Status.FAILED)
    api = program()

    def ids(query):
        return [row["id"] for row in api.get(f"disbursements?{query}").json()["results"]]

    assert ids("status=held") == [held.pk]
    assert len(ids("status=held&status=failed&msisdn=0712345678&origin=manual")) == 2
    assert ids("partner=jamii") == []
    assert ids("created_to=2020-01-01T00:00:00Z") == []
    assert code(api.get("disbursements?stauts=held")) == "invalid"


@pytest.mark.parametrize("cursor", ["x", "", "eyJ9:1:2", "%00"])
def test_a_made_up_cursor_is_refused(program, cursor):
    answer = program().get(f"disbursements?after={cursor}")

    assert answer.status_code == 400


def test_more_rows_need_no_more_queries(program, manual, django_assert_max_num_queries):
    api = program()
    for n in range(12):
        manual(msisdn=f"2547123456{n:02}")

    # Once a minute the key's use is told, too.
    api.get("partners")
    with django_assert_max_num_queries(3):
        api.get("disbursements")
