"""Two people settle what M-Pesa doesn't tell; M-Pesa's own word always wins."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from disbursements import cases, evidence, settlement, tasks
from disbursements.approval import NotAllowed
from disbursements.models import Case, Disbursement, Settlement
from disbursements.states import Status
from partners.models import Partner
from paymentvault.models import AuditEvent
from tests.disbursements.at_once import at_once, errors
from tests.disbursements.pages.people import may, signed_in
from tests.disbursements.pages.pressing import SETTLE, VIEW, address, once, press, text
from tests.samples import paid, result

S = Status
RECEIPT = "TJM7ABCDEF"
SEEN = "Statement of 23 November, page 2, with Safaricom's ticket 4711."


@pytest.fixture
def proposer(amina) -> Client:
    return signed_in(may(amina, VIEW, SETTLE))


@pytest.fixture
def second(baraka) -> Client:
    return signed_in(may(baraka, VIEW, SETTLE))


@pytest.fixture
def doubted(sent):
    """A payout whose request left more than a day ago, and of which M-Pesa says nothing."""

    def make(**changes):
        attempt = sent(S.IN_DOUBT, attempt="unknown", **changes)
        type(attempt).objects.filter(pk=attempt.pk).update(
            sent_at=timezone.now() - timedelta(hours=25)
        )
        attempt.refresh_from_db()
        return attempt

    return make


@pytest.fixture
def proposed(doubted, amina):
    def make(outcome="failed", attempt=None, **changes):
        given = {"evidence_words": SEEN, "by": amina}
        if outcome == "paid":
            given |= {"receipt": RECEIPT, "paid_at": timezone.now() - timedelta(minutes=50)}
        one = (attempt or doubted()).disbursement
        return settlement.propose(one, outcome=outcome, **(given | changes))

    return make


def typed_as_paid(**changes):
    at = timezone.localtime(timezone.now() - timedelta(minutes=50))
    return {"outcome": "paid", "receipt": RECEIPT, "paid_at": f"{at:%Y-%m-%dT%H:%M}",
            "evidence": SEEN} | changes  # fmt: skip


TYPED_AS_FAILED = {"outcome": "failed", "receipt": "", "paid_at": "", "evidence": SEEN}


def confirm_url(made, act="confirm"):
    return address(made.disbursement, f"settle/{made.pk}/{act}")


def status_of(attempt):
    attempt.refresh_from_db()
    return Disbursement.objects.get(pk=attempt.disbursement_id).status, attempt.status


# By pages


def test_two_people_settle_one_as_paid(proposer, second, doubted, baraka):
    attempt = doubted()
    one = attempt.disbursement

    first = press(proposer, address(one, "settle"), **typed_as_paid())
    assert "Nothing follows until a second person confirms it" in text(first)
    assert status_of(attempt)[0] == S.IN_DOUBT
    made = Settlement.objects.get()
    opened = second.get(address(one, "settle"), follow=True)
    assert opened.redirect_chain[-1][0] == confirm_url(made)
    assert "Settle KES 10,000.00 to 254 712 345 678 as paid?" in text(opened)
    assert SEEN in text(opened)
    said = press(second, confirm_url(made), reason="I saw it in the statement.")

    one.refresh_from_db()
    assert f"Settled {one.reference}. It is paid, receipt {RECEIPT}." in text(said)
    assert status_of(attempt) == (S.PAID, "paid")
    assert (one.mpesa_receipt, one.paid_at) == (RECEIPT, made.paid_at)
    line = one.transitions.filter(new=S.PAID).get()
    assert line.by == "baraka"
    assert f"Settled by amina and baraka. {SEEN} I saw it in the statement." in line.note


def test_two_people_settle_one_as_not_paid(proposer, second, doubted):
    attempt = doubted()
    one = attempt.disbursement

    press(proposer, address(one, "settle"), **TYPED_AS_FAILED)
    done = press(second, confirm_url(Settlement.objects.get()), reason="Nothing there.")

    one.refresh_from_db()
    assert "Two people say that it was not paid. It can be retried or cancelled." in text(done)
    assert "no money moved" not in text(done).lower()
    assert status_of(attempt) == (S.FAILED, "failed")
    assert one.failure_code == settlement.CODE
    said = text(second.get(address(one)))
    assert "Two people say that it was not paid." in said
    assert "No money" not in said
    assert one.transitions.get(new=S.FAILED).note.startswith("Two people say that it was not paid.")


def test_what_is_settled_is_on_record(proposer, second, doubted):
    one = doubted().disbursement
    press(proposer, address(one, "settle"), **TYPED_AS_FAILED)
    press(second, confirm_url(Settlement.objects.get()), reason="Nothing there.")

    lines = AuditEvent.objects.order_by("pk").values_list("act", "actor", "source_address")
    assert list(lines) == [
        ("settlement proposed", "amina", "127.0.0.1"),
        ("disbursement failed", "baraka", "127.0.0.1"),
        ("settlement confirmed", "baraka", "127.0.0.1"),
    ]
    assert one.transitions.filter(by="amina").get().note.startswith("Settlement proposed: not paid")


def test_whoever_proposed_cannot_confirm(proposer, proposed, amina):
    made = proposed()

    opened = proposer.get(confirm_url(made), follow=True)
    pressed = proposer.post(confirm_url(made), {
        "reason": "Me again.", "once": "3d0c9f2e-6a53-4b61-9a35-0d3d7e5f0c11",
    })  # fmt: skip

    assert "Someone else must confirm what you proposed." in text(opened)
    assert pressed.status_code == 409
    assert "Someone else must confirm what you proposed. Nothing was changed." in text(pressed)
    assert status_of(made.attempt)[0] == S.IN_DOUBT
    with pytest.raises(NotAllowed):
        settlement.confirm(made, by=amina)


def test_the_database_wants_two_people_as_well(proposed, amina):
    made = proposed()

    with pytest.raises(IntegrityError, match="settled_by_two"), transaction.atomic():
        Settlement.objects.filter(pk=made.pk).update(state="confirmed", decided_by=amina)


@pytest.mark.parametrize("page", ["settle", "confirm", "refuse"])
def test_nobody_settles_without_the_permission(baraka, proposed, page):
    made = proposed()
    client = signed_in(may(baraka, VIEW, "disbursements.approve_disbursement"))
    url = address(made.disbursement, "settle") if page == "settle" else confirm_url(made, page)

    assert client.get(url).status_code == 403
    assert client.post(url, {"reason": "x"}).status_code == 403
    made.refresh_from_db()
    assert made.state == "proposed"


def test_a_proposal_shows_on_the_disbursement(proposer, second, proposed):
    one = proposed().disbursement

    assert "amina proposes to settle it as not paid" in text(second.get(address(one)))
    assert "Someone else must check it and confirm." in text(proposer.get(address(one)))


def test_a_second_proposal_waits_for_the_first(proposer, second, proposed, baraka):
    one = proposed().disbursement

    told = proposer.get(address(one, "settle"), follow=True)
    assert "Your proposal waits for a second person. Nothing was changed." in text(told)
    with pytest.raises(NotAllowed, match="waits for a second person already"):
        settlement.propose(one, outcome="failed", evidence_words=SEEN, by=baraka)


@pytest.mark.parametrize("who", ["proposer", "second"])
def test_a_proposal_can_be_refused_or_withdrawn_and_made_anew(
    request, who, proposer, proposed, amina
):
    client, made = request.getfixturevalue(who), proposed()

    said = press(client, confirm_url(made, "refuse"), reason="A slip.")

    made.refresh_from_db()
    word = "Withdrawn" if who == "proposer" else "Refused"
    assert f"{word}. {made.disbursement.reference} stays in doubt." in text(said)
    assert (made.state, made.decision_note) == ("refused", "A slip.")
    assert status_of(made.attempt)[0] == S.IN_DOUBT
    again = settlement.propose(made.disbursement, outcome="failed", evidence_words=SEEN, by=amina)
    assert again.state == "proposed"


def test_what_was_refused_cannot_be_confirmed(second, proposed, amina):
    made = proposed()
    opened = {**once(second, confirm_url(made)), "reason": "Seen."}
    settlement.refuse(made, by=amina, note="A slip.")
    settlement.propose(
        made.disbursement, outcome="paid", receipt=RECEIPT, by=amina, evidence_words=SEEN,
        paid_at=timezone.now() - timedelta(minutes=1),
    )  # fmt: skip

    answer = second.post(confirm_url(made), opened)

    assert "The proposal was refused already by amina. Nothing was changed." in text(answer)
    assert status_of(made.attempt)[0] == S.IN_DOUBT


def test_a_proposal_belongs_to_its_disbursement(second, proposed, manual):
    made = proposed()

    assert second.get(address(manual(), f"settle/{made.pk}/confirm")).status_code == 404


@pytest.mark.parametrize(
    "typed, words",
    [
        (typed_as_paid(receipt=""), "Enter the receipt"),
        (typed_as_paid(receipt="short"), "A receipt is 8 to 20"),
        (typed_as_paid(receipt="TJM7<b>X</b>"), "A receipt is 8 to 20"),
        (typed_as_paid(paid_at=""), "Enter when it was paid"),
        (typed_as_paid(paid_at="yesterday"), "Enter day and time"),
        (typed_as_paid(paid_at="2020-01-01T10:00"), "The time must lie between"),
        (typed_as_paid(paid_at="2099-01-01T10:00"), "The time must lie between"),
        (typed_as_paid(evidence=""), "Evidence: This field is required"),
        (typed_as_paid(evidence="seen"), "at least 10 characters"),
        ({**TYPED_AS_FAILED, "receipt": RECEIPT}, "What has a receipt was paid"),
        ({**TYPED_AS_FAILED, "outcome": ""}, "What became of it: This field is required"),
        ({**TYPED_AS_FAILED, "evidence": " "}, "Evidence: This field is required"),
    ],
)
def test_what_is_proposed_must_be_whole_and_plausible(proposer, doubted, typed, words):
    one = doubted().disbursement

    answer = press(proposer, address(one, "settle"), **typed)

    assert answer.status_code in (409, 422)
    assert words in text(answer)
    assert not Settlement.objects.exists()


def test_a_receipt_settles_one_disbursement_only(proposer, doubted, manual):
    other = manual(S.PAID, mpesa_receipt=RECEIPT)

    answer = press(proposer, address(doubted().disbursement, "settle"), **typed_as_paid())

    assert f"The receipt {RECEIPT} is {other.reference}'s already. Nothing was" in text(answer)


def test_what_people_wrote_reads_as_sentences(second, proposed):
    made = proposed(evidence_words="Statement of March, line 4")

    page = text(second.get(address(made.disbursement)))
    press(second, confirm_url(made), reason="Seen the same line")

    assert "Evidence: Statement of March, line 4. A second person must check it" in page
    notes = " ".join(made.disbursement.transitions.values_list("note", flat=True))
    assert "Statement of March, line 4. Seen the same line." in notes


def test_of_another_partners_a_receipt_tells_nothing_but_that_it_is_taken(
    proposer, doubted, manual
):
    jamii = Partner.objects.create(name="Jamii", code="jamii")
    other = manual(S.PAID, mpesa_receipt=RECEIPT, partner=jamii)

    answer = press(proposer, address(doubted().disbursement, "settle"), **typed_as_paid())

    assert f"The receipt {RECEIPT} is another disbursement's already. Nothing was" in text(answer)
    assert other.reference not in text(answer)


def test_a_receipt_that_paid_another_one_meanwhile_is_refused(second, proposed, manual):
    made = proposed("paid")
    opened = {**once(second, confirm_url(made)), "reason": "Seen."}
    manual(S.PAID, mpesa_receipt=RECEIPT)

    answer = second.post(confirm_url(made), opened)

    made.refresh_from_db()
    assert "has paid another disbursement meanwhile. Nothing was changed." in text(answer)
    assert (made.state, status_of(made.attempt)) == ("proposed", (S.IN_DOUBT, "unknown"))


def test_a_small_letter_and_a_space_are_no_error(proposer, doubted):
    press(proposer, address(doubted().disbursement, "settle"),
          **typed_as_paid(receipt=" tjm7abcdef "))  # fmt: skip

    assert Settlement.objects.get().mpesa_receipt == RECEIPT


# When it may be settled at all


@pytest.mark.parametrize("status", [s for s in Status if s != S.IN_DOUBT])
def test_only_what_is_in_doubt_is_settled(sent, proposer, amina, status):
    live = {S.SENDING: "sending", S.SENT: "sent", S.PAID: "paid", S.RECORDED: "paid"}
    one = sent(status, attempt=live.get(status, "failed")).disbursement

    with pytest.raises(NotAllowed, match="only what is in doubt"):
        settlement.propose(one, outcome="failed", evidence_words=SEEN, by=amina)
    assert "Nothing was changed" in text(proposer.get(address(one, "settle"), follow=True))


@pytest.mark.parametrize(
    "minutes, questions, may_be",
    [(0, 0, False), (0, 1, False), (29, 1, False), (0, 2, True), (31, 0, True)],
)
def test_not_while_it_may_still_be_under_way(proposer, doubted, asked, minutes, questions, may_be):
    attempt = doubted()
    type(attempt).objects.update(sent_at=timezone.now() - timedelta(minutes=minutes))
    for _ in range(questions):
        question = asked(attempt)
        type(question).objects.filter(pk=question.pk).update(answer_code="0")

    opened = proposer.get(address(attempt.disbursement, "settle"), follow=True)
    press(proposer, address(attempt.disbursement, "settle"),
          **typed_as_paid(paid_at=f"{timezone.localtime():%Y-%m-%dT%H:%M}"))  # fmt: skip

    assert ("It may still be under way." in text(opened)) is not may_be
    assert Settlement.objects.exists() is may_be


@pytest.mark.parametrize(
    "minutes, accepted, answered, missing",
    [
        (1, 2, 0, ["30 minutes after", "(so far no results)"]),
        (1, 0, 2, ["30 minutes after"]),
        (31, 2, 1, ["(so far one result)"]),
        (31, 0, 2, []),
        (23 * 60, 9, 0, ["(so far no results)", "or else until"]),
        (24 * 60 + 1, 0, 0, []),
    ],
)
def test_not_paid_needs_answers_or_a_day_of_silence(
    proposer, doubted, asked, minutes, accepted, answered, missing
):
    attempt = doubted()
    type(attempt).objects.update(sent_at=timezone.now() - timedelta(minutes=minutes))
    for number in range(max(accepted, answered)):
        question = asked(attempt)
        code = "2001" if number < answered else ""
        type(question).objects.filter(pk=question.pk).update(answer_code="0", result_code=code)

    words = settlement.why_not_yet(attempt_now(attempt), "failed")
    answer = press(proposer, address(attempt.disbursement, "settle"), **TYPED_AS_FAILED)

    assert all(part in words for part in missing)
    assert bool(words) is bool(missing)
    assert (words in text(answer)) or not words
    assert Settlement.objects.exists() is not bool(missing)


def attempt_now(attempt):
    attempt.refresh_from_db()
    return attempt


def test_a_proposal_is_about_the_request_that_its_page_showed(proposer, doubted, shortcode):
    attempt = doubted()
    url = address(attempt.disbursement, "settle")
    seen = {**once(proposer, url), **TYPED_AS_FAILED}
    type(attempt).objects.filter(pk=attempt.pk).update(status="failed")
    other = attempt.disbursement.attempts.create(
        shortcode=shortcode, amount_kes=10_000, msisdn=attempt.msisdn, status="unknown",
        sent_at=timezone.now() - timedelta(hours=25),
    )  # fmt: skip

    answer = proposer.post(url, seen)
    made_up = proposer.post(url, seen | {"attempt": str(other.pk)})

    assert "Another request is in doubt now than when you opened this page." in text(answer)
    assert "The page came back incomplete." in text(made_up)
    assert not Settlement.objects.exists()


@pytest.mark.parametrize("kind", ["callback_disagrees", "status_disagrees"])
def test_two_people_answer_the_question_but_not_for_what_comes_later(proposed, baraka, kind):
    made = proposed()
    cases.open_case(kind, "Where is it?", disbursement=made.disbursement)
    assert cases.money_may_have_moved(made.disbursement)

    words = settlement.confirm(made, by=baraka)

    assert words == "Two people say that it was not paid. It can be retried or cancelled."
    assert not cases.money_may_have_moved(made.disbursement)
    cases.open_case(kind, "Again.", disbursement=made.disbursement)
    cases.close_cases(kind, by="baraka", note="x", disbursement=made.disbursement)
    assert cases.money_may_have_moved(made.disbursement)


def test_two_people_do_not_answer_a_contradiction_about_another_request(proposed, baraka):
    made = proposed()
    cases.open_case("contradiction", "Look.", disbursement=made.disbursement)

    words = settlement.confirm(made, by=baraka)
    cases.close_cases("contradiction", by="baraka", note="x", disbursement=made.disbursement)

    assert "never paid again from here" in words
    assert cases.money_may_have_moved(made.disbursement)


def test_a_question_that_never_reached_m_pesa_does_not_count(doubted, asked):
    attempt = doubted()
    attempt.sent_at = timezone.now()
    for _ in range(3):
        question = asked(attempt)
        type(question).objects.filter(pk=question.pk).update(answer_code="none")

    assert "M-Pesa has been asked not once" in settlement.why_not_yet(attempt, "paid")


# What follows


def test_a_payout_settled_as_not_paid_is_never_retried_by_itself(proposed, baraka, shortcode):
    settlement.confirm(proposed(), by=baraka)

    tasks.sweep_failed()

    assert settlement.CODE not in tasks.RETRIED_BY_THEMSELVES
    assert Disbursement.objects.get().status == S.FAILED


def test_a_loan_settled_as_paid_is_recorded_in_mifos_x(
    proposed, doubted, baraka, connection, monkeypatch, django_capture_on_commit_callbacks
):
    rung = []
    monkeypatch.setattr("mifos.tasks.record_in_mifos.apply_async", lambda **k: rung.append(k))
    made = proposed("paid", doubted(connection=connection, loan_id=3198))

    with django_capture_on_commit_callbacks(execute=True):
        settlement.confirm(made, by=baraka)

    assert [call["args"] for call in rung] == [(made.disbursement_id,)]


@pytest.mark.parametrize("kind", settlement.ANSWERED_BY_IT)
def test_the_cases_that_it_answers_are_closed(second, proposed, kind):
    made = proposed()
    cases.open_case(kind, "Look.", disbursement=made.disbursement)

    assert "It closes the case" in text(second.get(confirm_url(made)))
    press(second, confirm_url(made), reason="Seen.")

    case = Case.objects.get()
    assert (case.closed_by, "Settled by amina and baraka" in case.closing_note) == ("baraka", True)


def test_a_contradiction_about_an_earlier_attempt_stays_open(proposed, baraka):
    made = proposed()
    cases.open_case("contradiction", "Look.", disbursement=made.disbursement)

    settlement.confirm(made, by=baraka)

    assert Case.objects.get().closed_at is None


# M-Pesa's word wins


@pytest.mark.parametrize("body, ends", [(paid(), S.PAID), (result(code=2040), S.FAILED)])
def test_m_pesas_answer_overtakes_a_proposal(second, proposed, told, body, ends):
    made = proposed("failed" if ends == S.PAID else "paid")
    opened = {**once(second, confirm_url(made)), "reason": "Seen."}

    told(made.attempt, body)
    answer = second.post(confirm_url(made), opened)

    made.refresh_from_db()
    assert (made.state, made.decided_by) == ("refused", None)
    assert "refused already by M-Pesa's own answer, which came first" in text(answer)
    assert status_of(made.attempt)[0] == ends


LATER = {
    "as not paid, M-Pesa says paid": (
        "failed", paid(), S.FAILED, "Two people settled it as failed",
    ),
    "as paid, M-Pesa says failed": (
        "paid", result(code=2040), S.PAID, "Two people settled it as paid",
    ),
    "as paid, M-Pesa names another receipt": (
        "paid", paid(receipt="TJM7SECOND"), S.PAID, "named a second receipt",
    ),
}  # fmt: skip


@pytest.mark.parametrize("outcome, body, stays, words", LATER.values(), ids=LATER.keys())
def test_m_pesas_later_disagreement_opens_a_case(
    proposed, told, baraka, outcome, body, stays, words
):
    made = proposed(outcome)
    settlement.confirm(made, by=baraka)

    told(made.attempt, body)

    case = Case.objects.get(kind="contradiction")
    assert words in case.words
    assert status_of(made.attempt)[0] == stays


def test_m_pesas_later_agreement_opens_none(proposed, told, baraka):
    made = proposed("paid")
    settlement.confirm(made, by=baraka)

    told(made.attempt, paid(receipt=RECEIPT))

    assert not Case.objects.exists()


# At the same moment, each on a connection of its own


@pytest.mark.django_db(transaction=True)
def test_of_two_confirmations_at_once_one_counts(proposed, baraka):
    made = proposed("paid")
    chege = type(baraka).objects.create_user("chege")

    results = at_once(
        lambda by: settlement.confirm(Settlement.objects.get(pk=made.pk), by=by), [baraka, chege]
    )

    assert [type(error) for error in errors(results)] == [NotAllowed]
    assert status_of(made.attempt) == (S.PAID, "paid")
    assert made.disbursement.transitions.filter(new=S.PAID).count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_confirmation_and_a_refusal_at_once_leave_one_decision(proposed, baraka, amina):
    made = proposed()
    acts = [
        lambda: settlement.confirm(made, by=baraka),
        lambda: settlement.refuse(made, by=amina, note="A slip."),
    ]

    results = at_once(lambda act: act(), acts)

    made.refresh_from_db()
    assert [type(error) for error in errors(results)] == [NotAllowed]
    assert status_of(made.attempt)[0] == (S.FAILED if made.state == "confirmed" else S.IN_DOUBT)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("outcome", ["paid", "failed"])
@pytest.mark.parametrize("says_paid", [True, False])
def test_a_confirmation_and_m_pesas_word_at_once_stay_consistent(
    proposed, baraka, outcome, says_paid
):
    made = proposed(outcome)
    attempt = made.attempt

    def word():
        if says_paid:
            return evidence.paid(attempt, receipt=RECEIPT, at=None, by="M-Pesa")
        return evidence.failed(attempt, code="2040", words="Not registered.", by="M-Pesa")

    results = at_once(lambda act: act(), [lambda: settlement.confirm(made, by=baraka), word])

    made.refresh_from_db()
    status, attempt_status = status_of(attempt)
    assert (status, attempt_status) in [(S.PAID, "paid"), (S.FAILED, "failed")]
    agrees = says_paid == (outcome == "paid")
    if made.state == "confirmed":
        assert status == (S.PAID if outcome == "paid" else S.FAILED)
        assert Case.objects.filter(kind="contradiction").exists() is not agrees
        assert errors(results) == []
    else:
        assert [type(error) for error in errors(results)] == [NotAllowed]
        assert status == (S.PAID if says_paid else S.FAILED)
        assert not Case.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_proposals_at_once_one_waits(doubted, amina, baraka):
    one = doubted().disbursement

    results = at_once(
        lambda by: settlement.propose(one, outcome="failed", evidence_words=SEEN, by=by),
        [amina, baraka],
    )

    assert [type(error) for error in errors(results)] == [NotAllowed]
    assert Settlement.objects.count() == 1


@pytest.mark.parametrize("page", ["settle", "confirm", "refuse"])
def test_no_page_asks_more_than_a_dozen_queries(
    second, doubted, proposed, page, django_assert_max_num_queries
):
    url = address(doubted().disbursement, "settle") if page == "settle" else \
        confirm_url(proposed(), page)  # fmt: skip

    with django_assert_max_num_queries(12):
        assert second.get(url).status_code == 200
