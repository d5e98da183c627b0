"""A partner's M-Pesa shortcodes: set up, test, pause and resume."""

from typing import Any

from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from disbursements import shortcode_test, shortcodes
from disbursements.drafts import ShortcodeDraft
from disbursements.models import Disbursement
from disbursements.pages.shortcode_form import ShortcodeForm
from disbursements.states import MOVING, Status
from disbursements.tasks import RETRIED_BY_THEMSELVES
from partners import access, changes, pem, work
from partners.changes import Kind
from partners.drafts import about_of
from partners.models import MpesaShortcode, Partner
from partners.pages import saving
from paymentvault.acts import Act, Refusal, confirmed, user_of
from paymentvault.addresses import source_address
from paymentvault.models import KillSwitch
from paymentvault.paging import Totals, totals
from paymentvault.rights import needs
from paymentvault.templatetags.portal import kes

Pause = MpesaShortcode.Pause
SEE, CHANGE = "partners.view_mpesashortcode", "partners.change_mpesashortcode"


@needs(SEE)
def detail(request: HttpRequest, code: str, pk: int) -> HttpResponse:
    shortcode = _shortcode(request, code, pk, SEE)
    shown = {
        "shortcode": shortcode,
        "partner": shortcode.partner,
        "fingerprint": pem.fingerprints(shortcode.certificate) if shortcode.certificate else "",
        "running": shortcode_test.running_test(shortcode),
        "waiting": _waiting(shortcode.partner) if shortcode.is_paused else None,
    }
    return render(request, "shortcodes/detail.html", shown)


@needs(CHANGE)
def add(request: HttpRequest, code: str) -> HttpResponse:
    if request.method != "POST":
        partner = access.one(Partner.objects.all(), request.user, CHANGE, code=code)
        new = MpesaShortcode(partner=partner)
        return _form_page(request, ShortcodeForm(instance=new, partner=partner))
    with transaction.atomic():
        partner = _locked(request, code)
        return _saved(request, partner, MpesaShortcode(partner=partner))


@needs(CHANGE)
def edit(request: HttpRequest, code: str, pk: int) -> HttpResponse:
    if request.method != "POST":
        shortcode = _shortcode(request, code, pk)
        return _form_page(request, ShortcodeForm(instance=shortcode, partner=shortcode.partner))
    with transaction.atomic():
        partner = _locked(request, code)
        return _saved(request, partner, _shortcode(request, code, pk))


def _locked(request: HttpRequest, code: str) -> Partner:
    """Two that save shortcodes of a partner at once come one after the other: one is default."""
    rows = Partner.objects.select_for_update(no_key=True)
    return access.one(rows, request.user, CHANGE, code=code)


def _saved(request: HttpRequest, partner: Partner, shortcode: MpesaShortcode) -> HttpResponse:
    """Save what was posted, or keep it for a second person; or show what is wrong with it."""
    shortcode.partner = partner
    form = ShortcodeForm(request.POST, request.FILES, instance=shortcode, partner=partner)
    if not form.is_valid():
        return _form_page(request, form)
    try:
        with transaction.atomic():
            told = saving.submit(request, ShortcodeDraft(form, partner), form)
    except IntegrityError:
        # Another partner's form was a moment faster.
        form.add_error("shortcode", "It was set up just now. A shortcode belongs to one partner.")
        return _form_page(request, form)
    if told is None:
        return _form_page(request, form)
    messages.success(request, told.words)
    if told.waits:
        return redirect("partners:detail", partner.code)
    if "test" in request.POST:
        return _begin_test(request, shortcode)
    return redirect(_page(shortcode))


def _form_page(request: HttpRequest, form: ShortcodeForm) -> HttpResponse:
    about = about_of(form.instance if form.instance.pk else None)
    shown = {
        "form": form,
        "partner": form.partner,
        "shortcode": form.instance,
        "waiting": changes.waiting(form.partner, Kind.SHORTCODE, about),
    }
    status = 422 if form.is_bound else 200
    return render(request, "shortcodes/form.html", shown, status=status)


@needs(CHANGE)
def test(request: HttpRequest, code: str, pk: int) -> HttpResponse:
    """Begin a test, or go to the one that runs; a GET leads to where the button is."""
    shortcode = _shortcode(request, code, pk)
    if request.method != "POST":
        return redirect(_page(shortcode))
    return _begin_test(request, shortcode)


def _begin_test(request: HttpRequest, shortcode: MpesaShortcode) -> HttpResponse:
    if words := work.wait_to_test(user_of(request)):
        messages.warning(request, words)
        return redirect(_page(shortcode))
    job, is_new = shortcode_test.start(
        shortcode,
        by=user_of(request),
        came_from=_page(shortcode),
        source_address=source_address(request),
    )
    if not is_new:
        messages.info(request, f"{job.started_by} is testing it already: this is that test.")
    return redirect("job", job.pk)


@needs(CHANGE)
def pause(request: HttpRequest, code: str, pk: int) -> HttpResponse:
    shortcode = _shortcode(request, code, pk)
    waiting = _waiting(shortcode.partner)
    act = Act(
        title=f"Pause shortcode {shortcode.shortcode} of {shortcode.partner}?",
        verb=f"Pause {shortcode.shortcode}",
        back=_page(shortcode),
        consequence="Nothing more is sent from it until a person resumes it. What M-Pesa has "
        "already goes on, and its results are taken in. No money moves by pausing.",
        facts=[
            *_what_it_is(shortcode),
            ("Approved, will wait", _in_words(waiting)),
            ("At M-Pesa already", _in_words(_of(shortcode.partner, *MOVING))),
        ],
        is_dangerous=True,
    )

    def do(form: Any) -> str:
        done = shortcodes.pause(
            shortcode, Pause.PERSON, reason=form.cleaned_data["reason"],
            by=user_of(request).get_username(), source_address=source_address(request),
        )  # fmt: skip
        if not done:
            raise Refusal("It is paused already, for another reason; that one stays.")
        return f"{shortcode} is paused. {_in_words(waiting)} approved: waiting, nothing is lost."

    return confirmed(request, act, do=do)


@needs(CHANGE)
def resume(request: HttpRequest, code: str, pk: int) -> HttpResponse:
    shortcode = _shortcode(request, code, pk)
    waiting = _waiting(shortcode.partner)
    act = Act(
        title=f"Resume shortcode {shortcode.shortcode} of {shortcode.partner}?"
        + (f" {_in_words(waiting)} approved" if waiting.count else ""),
        verb=f"Resume {shortcode.shortcode}",
        back=_page(shortcode),
        consequence=_consequence_of_resuming(shortcode, waiting),
        facts=[*_what_it_is(shortcode), *_what_resuming_is_about(shortcode, waiting)],
        is_dangerous=True,
    )

    def do(form: Any) -> str:
        done = shortcodes.resume(
            shortcode, reason=form.cleaned_data["reason"], by=user_of(request).get_username(),
            source_address=source_address(request),
        )  # fmt: skip
        if not done:
            raise Refusal("It is not paused: somebody resumed it meanwhile.")
        return f"{shortcode} is resumed. One payout goes first; the others follow its result."

    return confirmed(request, act, do=do)


def _consequence_of_resuming(shortcode: MpesaShortcode, waiting: Totals) -> str:
    words = [
        "Payouts go out again within a minute. One goes first, as a canary: the others follow "
        "when M-Pesa has accepted its credential. If M-Pesa refuses it, the shortcode is paused "
        "again and nothing more is tried."
        if waiting.count
        else "Nothing waits now. The next payout goes alone, as a canary; the others follow its "
        "result."
    ]
    if refused := shortcodes.refused_since_saved(shortcode):
        words.append(
            f"M-Pesa refused the credential that is still saved (code {refused.result_code}). "
            "Unless that was put right at Safaricom, the canary is one more of the three wrong "
            "tries that lock the initiator: replace the password first."
        )
    if switch := KillSwitch.objects.first():
        words.append(f"All payouts are stopped besides: {switch}")
    return " ".join(words)


def _what_it_is(shortcode: MpesaShortcode) -> list[tuple[str, Any]]:
    return [
        ("Environment", _environment(shortcode)),
        (
            "Default",
            "Yes" if shortcode.is_default else "No: the partner's payouts don't go from it",
        ),
    ]


def _environment(shortcode: MpesaShortcode) -> str:
    is_production = shortcode.environment == MpesaShortcode.Environment.PRODUCTION
    return "Production: real money" if is_production else "Sandbox: no real money"


def _what_resuming_is_about(shortcode: MpesaShortcode, waiting: Totals) -> list[tuple[str, Any]]:
    failed = _of(shortcode.partner, Status.FAILED, failure_code__in=RETRIED_BY_THEMSELVES)
    since = timezone.localtime(shortcode.paused_at) if shortcode.paused_at else None
    float_ = shortcode.utility_balance
    return [
        ("Paused since", f"{since:%-d %B %Y %H:%M}" if since else ""),
        ("Because", f"{shortcode.get_pause_display()}: {shortcode.pause_reason}"),
        ("Approved and waiting", _in_words(waiting)),
        ("Failed for want of float, tried again by themselves", _in_words(failed)),
        ("Float as last read", f"KES {kes(float_)}" if float_ is not None else ""),
    ]


def _waiting(partner: Partner) -> Totals:
    return _of(partner, Status.APPROVED)


def _of(partner: Partner, *statuses: Status, **more: Any) -> Totals:
    rows = Disbursement.objects.filter(partner=partner, status__in=statuses, **more)
    return totals(rows, of="amount")


def _in_words(found: Totals) -> str:
    noun = "disbursement" if found.count == 1 else "disbursements"
    if not found.count:
        return f"No {noun}"
    return f"{found.words} {noun}" + (f", KES {kes(found.sum)}" if found.sum is not None else "")


def _shortcode(request: HttpRequest, code: str, pk: int, right: str = CHANGE) -> MpesaShortcode:
    rows = MpesaShortcode.objects.select_related("partner")
    return access.one(rows, request.user, right, pk=pk, partner__code=code)


def _page(shortcode: MpesaShortcode) -> str:
    return reverse("shortcodes:detail", args=[shortcode.partner.code, shortcode.pk])
