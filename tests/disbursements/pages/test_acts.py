"""What a person may do with a disbursement: to whom each act is offered, and what a press does."""

import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from disbursements import again, approval, cases, tasks
from disbursements.models import Disbursement, Inquiry
from disbursements.pages.acts import ACTS, SHOWN
from disbursements.states import Status
from paymentvault.models import AuditEvent
from tests.disbursements.pages.people import may, signed_in
from tests.disbursements.pages.pressing import (
    DECIDE,
    SETTLE,
    TEND,
    VIEW,
    address,
    once,
    press,
    text,
)

S = Status
MOVES = {"approve": S.APPROVED, "reject": S.REJECTED, "release": S.APPROVED, "retry": S.APPROVED,
         "cancel": S.CANCELLED}  # fmt: skip
# In which states which acts are offered; the rest is refused.
OFFERED = {
    S.RECEIVED: set(),
    S.HELD: {"release", "cancel"},
    S.AWAITING_APPROVAL: {"approve", "reject", "cancel"},
    S.APPROVED: {"cancel"},
    S.SENDING: set(),
    S.SENT: {"ask"},
    S.IN_DOUBT: {"ask", "settle"},
    S.PAID: {"record"},
    S.RECORDED: set(),
    S.FAILED: {"retry", "cancel"},
    S.REJECTED: set(),
    S.CANCELLED: set(),
}
EVERY = [(status, act) for status in Status for act in ACTS]
PERMISSION = {"ask": TEND, "record": TEND, "settle": SETTLE}


@pytest.fixture
def checker(baraka) -> Client:
    return signed_in(may(baraka, VIEW, DECIDE, SETTLE, TEND))


@pytest.fixture
def maker(amina) -> Client:
    return signed_in(may(amina, VIEW, DECIDE, SETTLE, TEND))


@pytest.fixture
def at(sent, shortcode, connection):
    """A disbursement in a state, with a request at M-Pesa and a loan behind it."""
    shortcode.pause, shortcode.paused_at, shortcode.pause_reason = "person", timezone.now(), "Test."
    shortcode.save()
    live = {S.SENDING: "sending", S.SENT: "sent", S.IN_DOUBT: "unknown", S.PAID: "paid"}

    def make(status: Status, **changes) -> Disbursement:
        plain = {"connection": connection, "loan_id": 3198, "failure_words": "No."}
        attempt = sent(status, attempt=live.get(status, "failed"), **(plain | changes))
        type(attempt).objects.update(sent_at=timezone.now() - timedelta(hours=1))
        return attempt.disbursement

    return make


def pressed_blindly(one, reason="Known."):
    """What a form sends whose page was opened earlier, or by somebody else."""
    return {"reason": reason, "held_for": ",".join(one.holds), "once": str(uuid.uuid4()),
            "attempt": SHOWN.sign(str(approval.last_attempt(one)))}  # fmt: skip


def is_offered(client, one, act):
    return f'href="{address(one, act)}"' in client.get(address(one)).content.decode()


@pytest.mark.parametrize("status, act", EVERY)
def test_an_act_is_offered_where_it_can_be_done_and_there_it_can(checker, at, status, act):
    one = at(status)
    can_be_done = act in OFFERED[status]

    assert is_offered(checker, one, act) is can_be_done
    page = checker.get(address(one, act))
    assert page.status_code == (200 if can_be_done else 302)


@pytest.mark.parametrize("status, act", [(s, a) for s, a in EVERY if a != "settle"])
def test_a_press_does_it_where_it_is_offered_and_else_changes_nothing(checker, at, status, act):
    one = at(status)

    typed = pressed_blindly(one, "Known.")
    answer = checker.post(address(one, act), typed)

    one.refresh_from_db()
    if act in OFFERED[status]:
        assert answer.headers["Location"] == address(one)
        assert one.status == MOVES.get(act, status)
        assert one.transitions.last().by == "baraka"
        assert AuditEvent.objects.filter(actor="baraka", source_address="127.0.0.1").count() == 1
    else:
        assert answer.status_code == 409
        assert "Nothing was changed." in text(answer)
        assert (one.status, one.transitions.count()) == (status, 0)
        assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("method", ["get", "post"])
def test_without_its_permission_an_act_is_neither_offered_nor_done(at, baraka, act, method):
    status = next(s for s in Status if act in OFFERED[s])
    one = at(status)
    others = {DECIDE, SETTLE, TEND} - {PERMISSION.get(act, DECIDE)}
    client = signed_in(may(baraka, VIEW, *others))

    assert not is_offered(client, one, act)
    assert getattr(client, method)(address(one, act), {"reason": "x"}).status_code == 403
    one.refresh_from_db()
    assert one.status == status


@pytest.mark.parametrize("act", ["approve", "release", "retry"])
def test_the_maker_sees_that_it_waits_for_someone_else(maker, checker, at, act):
    one = at(next(s for s in Status if act in OFFERED[s]))

    assert not is_offered(maker, one, act)
    assert "Waiting for someone else to approve" in text(maker.get(address(one)))
    assert "Waiting for someone else to approve" not in text(checker.get(address(one)))


@pytest.mark.parametrize("act", ["approve", "release", "retry"])
def test_the_maker_is_refused_and_told_why(maker, at, act):
    one = at(next(s for s in Status if act in OFFERED[s]))

    opened = maker.get(address(one, act), follow=True)
    typed = pressed_blindly(one, "Mine.")
    pressed = maker.post(address(one, act), typed)

    for answer in (opened, pressed):
        assert "Someone else must approve what you entered. Nothing was changed." in text(answer)
    one.refresh_from_db()
    assert one.transitions.count() == 0


def test_three_people_at_one_payout(at, amina, baraka):
    """Amina entered it, Baraka checks it, Chege has no business here."""
    one = at(S.AWAITING_APPROVAL)
    chege = type(amina).objects.create_user("chege")
    amina_s, baraka_s, chege_s = (
        signed_in(may(amina, VIEW)), signed_in(may(baraka, VIEW, DECIDE)), signed_in(chege),
    )  # fmt: skip

    assert "Waiting for someone else to approve" in text(amina_s.get(address(one)))
    assert chege_s.get(address(one)).status_code == 403
    assert chege_s.post(address(one, "approve"), {"reason": ""}).status_code == 403
    said = press(baraka_s, address(one, "approve"), reason="Checked.")

    one.refresh_from_db()
    assert f"Approved {one.reference}. Sending now." in text(said)
    assert (one.status, one.approved_by) == (S.APPROVED, baraka)


def test_the_page_names_whom_what_sum_and_what_follows(checker, at):
    one = at(S.AWAITING_APPROVAL, client_name="Grace Njeri")

    said = text(checker.get(address(one, "approve")))

    assert "Pay KES 10,000.00 to Grace Njeri?" in said
    assert "M-Pesa will be asked to pay now. This can't be undone" in said
    assert "Approve and pay KES 10,000.00" in said
    assert "254 712 345 678" in said


def test_it_happens_once_however_often_the_button_is_pressed(checker, at, shortcode):
    one = at(S.AWAITING_APPROVAL)
    typed = {**once(checker, address(one, "approve")), "reason": ""}

    checker.post(address(one, "approve"), typed)
    second = checker.post(address(one, "approve"), typed, follow=True)

    assert "done already, by the first press" in text(second)
    assert one.transitions.count() == 1


def test_a_reason_is_asked_where_one_is_due(checker, at):
    for act in ("reject", "release", "cancel", "retry"):
        one = at(next(s for s in Status if act in OFFERED[s]), loan_id=None)
        answer = press(checker, address(one, act), reason="")
        one.refresh_from_db()
        assert answer.status_code == 422
        assert one.transitions.count() == 0


LARGE = {"amount": Decimal(150_000), "gross_amount": Decimal(150_000)}


@pytest.mark.parametrize("act", ["approve", "release", "retry"])
@pytest.mark.parametrize(
    "typed, is_right",
    [("150000", True), ("150,000", True), ("KES 150,000.00", True), ("", False), ("15000", False),
     ("150001", False), ("a lot", False)],
)  # fmt: skip
def test_a_large_sum_must_be_typed(checker, at, act, typed, is_right):
    one = at(next(s for s in Status if act in OFFERED[s]), **LARGE)

    press(checker, address(one, act), reason="Known.", amount=typed)

    one.refresh_from_db()
    assert (one.status == S.APPROVED) is is_right


def test_a_sum_below_the_bound_need_not_be_typed(checker, at):
    one = at(S.AWAITING_APPROVAL, amount=Decimal(99_999), gross_amount=Decimal(99_999))

    assert 'name="amount"' not in checker.get(address(one, "approve")).content.decode()


def test_a_release_overrides_only_the_holds_that_were_read(checker, at):
    one = at(S.HELD)
    seen = {**once(checker, address(one, "release")), "reason": "Known."}
    Disbursement.objects.update(holds=["top_up", "may_be_paid"], hold_words="More.")

    answer = checker.post(address(one, "release"), seen)

    one.refresh_from_db()
    assert "What it is held for has changed" in text(answer)
    assert one.status == S.HELD


@pytest.mark.parametrize("status, act", [(S.HELD, "release"), (S.FAILED, "retry")])
@pytest.mark.parametrize("kind", cases.MONEY_IN_QUESTION)
@pytest.mark.parametrize("is_closed", [False, True])
def test_nothing_is_let_go_once_money_was_in_question(
    checker, at, amina, status, act, kind, is_closed
):
    one = at(status)
    cases.open_case(kind, "Where is it?", disbursement=one)
    if is_closed:
        cases.close_cases(kind, by="somebody", note="Fine.", disbursement=one)

    assert not is_offered(checker, one, act)
    typed = pressed_blindly(one, "Go.")
    answer = checker.post(address(one, act), typed)
    assert answer.status_code == 409
    assert "It is never paid again from here. Cancel it" in text(answer)
    one.refresh_from_db()
    assert one.status == status


@pytest.mark.parametrize("is_closed", [False, True])
@pytest.mark.parametrize("status", [S.HELD, S.FAILED, S.AWAITING_APPROVAL])
def test_no_page_says_that_no_money_moved_where_m_pesa_contradicted_itself(
    checker, at, status, is_closed
):
    one = at(status, failure_code="1")
    cases.open_case("contradiction", "Receipt TJM7ABCDEF.", disbursement=one)
    if is_closed:
        cases.close_cases("contradiction", by="somebody", note="Fine.", disbursement=one)

    shown, asked = text(checker.get(address(one))), text(checker.get(address(one, "cancel")))
    press(checker, address(one, "cancel"), reason="Looked up.")
    after = text(checker.get(address(one)))

    for said in (shown, asked, after):
        assert "Money may have moved for it. Look it up in the M-Pesa statement first" in said
        assert "Never pay it by another way before." in said
        assert "No money has moved" not in said
    assert "tried again by itself" not in shown


def test_a_hold_for_money_that_may_have_moved_is_no_word_that_none_has(checker, at):
    one = at(S.HELD, holds=["may_be_paid"], hold_words="It may be paid.")

    for url in (address(one), address(one, "cancel")):
        said = text(checker.get(url))
        assert "Money may have moved for it." in said
        assert "No money has moved" not in said


def test_a_retry_is_of_the_failure_that_its_page_showed(checker, at, shortcode):
    one = at(S.FAILED)
    seen = {**once(checker, address(one, "retry")), "reason": "Go."}
    one.attempts.create(shortcode=shortcode, amount_kes=10_000, msisdn=one.msisdn, status="failed")

    answer = checker.post(address(one, "retry"), seen)

    one.refresh_from_db()
    assert "tried again, and failed again, since you opened this page" in text(answer)
    assert (answer.status_code, one.status) == (409, S.FAILED)


@pytest.mark.parametrize("made_up", ["", "7", "7:abc"])
def test_a_retry_of_a_made_up_failure_is_refused(checker, at, made_up):
    one = at(S.FAILED)

    answer = checker.post(address(one, "retry"), pressed_blindly(one) | {"attempt": made_up})

    one.refresh_from_db()
    assert "The page came back incomplete." in text(answer)
    assert one.status == S.FAILED


def test_a_retry_shows_the_proof_that_no_money_moved(checker, at):
    one = at(S.SENT)
    one.attempts.update(result_code="2040", result_words="Not registered.", status="failed")
    one.move(S.FAILED, by="M-Pesa", note="Not registered. No money moved.", failure_words="x")

    said = text(checker.get(address(one, "retry")))

    assert "Proof that no money moved Not registered. (code 2040) Said by M-Pesa on" in said


def test_what_a_hold_overrides_is_named(checker, at):
    one = at(S.HELD, holds=["top_up", "client_inactive"])

    said = text(checker.get(address(one, "release")))

    assert "You override: it is a top-up, the client is not active." in said


@pytest.mark.parametrize(
    "changes, words",
    [
        ({}, "undo the approval in Mifos X and approve the loan again"),
        ({"holds": ["no_number"]}, "takes it in anew"),
        ({"connection": None, "loan_id": None}, "to pay it after all, enter it anew"),
    ],
)
def test_a_cancellation_says_how_it_could_come_back(checker, at, changes, words):
    assert words in text(checker.get(address(at(S.HELD, **changes), "cancel")))


# Asking M-Pesa again


def test_m_pesa_is_asked_at_once_and_the_schedule_stays(
    checker, sent, wire, django_capture_on_commit_callbacks
):
    attempt = sent(S.IN_DOUBT, attempt="unknown")
    due_at = Disbursement.objects.get().due_at

    with django_capture_on_commit_callbacks(execute=True):
        answer = press(checker, address(attempt.disbursement, "ask"), reason="The borrower called.")

    attempt.refresh_from_db()
    assert "M-Pesa is being asked" in text(answer)
    assert len(wire.posts) == Inquiry.objects.count() == 1
    assert (attempt.inquiries_made, Disbursement.objects.get().due_at) == (0, due_at)
    assert attempt.disbursement.transitions.last().note.startswith("M-Pesa asked again.")


def test_m_pesa_is_not_asked_twice_within_moments(checker, sent, wire, asked):
    attempt = sent(S.IN_DOUBT, attempt="unknown")
    asked(attempt)
    Inquiry.objects.update(sent_at=timezone.now())

    answer = press(checker, address(attempt.disbursement, "ask"), reason="")

    assert "M-Pesa was asked just now. Its answer comes within a minute or so. Nothing was " \
        "changed." in text(answer)  # fmt: skip
    assert Inquiry.objects.count() == 1


def test_m_pesa_is_not_asked_with_a_refused_credential(checker, sent, shortcode):
    attempt = sent(S.IN_DOUBT, attempt="unknown")
    type(shortcode).objects.update(pause="configuration", paused_at=timezone.now(),
                                   pause_reason="Locked.")  # fmt: skip

    answer = press(checker, address(attempt.disbursement, "ask"), reason="")

    assert "credential must be put right" in text(answer)
    assert not attempt.disbursement.transitions.exists()


def test_an_extra_question_that_never_comes_back_uses_up_nothing(sent, wire):
    attempt = sent(S.IN_DOUBT, attempt="unknown")

    tasks.ask_mpesa(attempt.disbursement_id, True)

    attempt.refresh_from_db()
    assert (len(wire.posts), attempt.inquiries_made) == (1, 0)


# Recording in Mifos X again


def test_it_is_recorded_again_at_once(
    checker, mifos, take_in, shortcode, django_capture_on_commit_callbacks
):
    mifos.add_client(2, "Amina", "Otieno", mobile="0712345678") if hasattr(mifos, "never") else None
    one = take_in()
    one.move(S.SENDING, by="test")
    one.move(S.PAID, by="M-Pesa", mpesa_receipt="TJM7ABCDEF", paid_at=timezone.now())
    later = timezone.now() + timedelta(hours=1)
    Disbursement.objects.update(due_at=later, recording_error="No.", recording_tries=2)

    with django_capture_on_commit_callbacks(execute=True):
        answer = press(checker, address(one, "record"), reason="")

    one.refresh_from_db()
    assert "is being recorded in Mifos X" in text(answer)
    assert one.recording_tries == 3  # Mifos X, which doesn't know the loan, was asked
    assert AuditEvent.objects.filter(act="recording in Mifos X asked for").exists()


def test_what_has_no_loan_is_not_recorded(manual, baraka):
    with pytest.raises(approval.NotAllowed):
        again.record(manual(S.PAID), by=baraka)


def test_what_is_recorded_meanwhile_is_told(checker, at):
    one = at(S.PAID)
    seen = {**once(checker, address(one, "record")), "reason": ""}
    one.move(S.RECORDED, by="recording", recorded_at=timezone.now())

    answer = checker.post(address(one, "record"), seen)

    assert answer.status_code == 409
    assert "isn't waiting to be recorded any more. Nothing was changed." in text(answer)


@pytest.mark.parametrize("act", ACTS)
def test_no_act_s_page_asks_more_than_a_dozen_queries(
    checker, at, act, django_assert_max_num_queries
):
    one = at(next(s for s in Status if act in OFFERED[s]))

    with django_assert_max_num_queries(12):
        assert checker.get(address(one, act)).status_code == 200


def test_a_form_without_its_csrf_token_is_refused(baraka, at):
    one = at(S.AWAITING_APPROVAL)
    client = Client(enforce_csrf_checks=True)
    client.force_login(may(baraka, VIEW, DECIDE))

    answer = client.post(address(one, "approve"), {"reason": "x"})

    one.refresh_from_db()
    assert (answer.status_code, one.status) == (403, S.AWAITING_APPROVAL)


def test_a_disbursement_that_there_is_not_is_not_found(checker):
    assert {checker.get(f"/disbursements/99999/{act}/").status_code for act in ACTS} == {404}
