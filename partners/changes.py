"""Two people for settings that can move money.

Before a partner is in use one person sets it up, since nothing can be paid from it yet; the first
switch waits for a second person, who sees the whole set-up. From then on a change of what money
depends on is kept as proposed, and another person applies it. It is built anew on what is saved
then: unless it is still what their page shows, nothing is changed.
"""

import json
from abc import ABC, abstractmethod
from functools import reduce
from operator import or_
from typing import Any, ClassVar, Self, TypeVar

from django.contrib.auth.models import Permission
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from partners import access
from partners.models import Partner, SettingsChange
from partners.roles import with_right
from paymentvault import audit
from paymentvault.acts import Refusal
from paymentvault.models import User

Kind = SettingsChange.Kind
State = SettingsChange.State
Line = dict[str, str]
"""What one setting was and would be: label, from, to."""

MANY = 5
WAITING_SHOWN = 20
NOTE_KEPT = 500


class NotProposed(Exception):
    """Why it isn't kept as a proposal; `field` is the form's field that it is about."""

    def __init__(self, words: str, field: str | None = None) -> None:
        super().__init__(words)
        self.field = field


class Outdated(Refusal):
    """What was proposed doesn't fit what is saved now."""


class Draft(ABC):
    """A change of one thing's settings: just typed, or built anew from what was kept.

    Its partner, and the row that it is about, are locked by whoever makes one to write it.
    """

    kind: ClassVar[Kind]
    right: ClassVar[str]
    """What both people need at the partner."""
    partner: Partner
    about: str = ""
    """The row that it changes; empty for one that it adds."""

    @classmethod
    @abstractmethod
    def again(cls, change: SettingsChange, kept: dict[str, Any]) -> Self:
        """As it was proposed, on what is saved now."""

    @abstractmethod
    def waits(self) -> bool:
        """Whether one person alone may not do it."""

    @abstractmethod
    def problem(self) -> str:
        """Why it can't be done, if it can't."""

    @abstractmethod
    def difference(self) -> list[Line]:
        """Setting by setting, with secrets as "changed"."""

    @abstractmethod
    def save(self, *, by: User, **detail: Any) -> str:
        """Do it, with its lines in the audit; returns what happened, in words."""

    def facts(self) -> list[list[str]]:
        """What else the second person must see to decide."""
        return []

    def kept(self) -> dict[str, Any]:
        """What `again` needs."""
        return {}

    def told(self) -> dict[str, Any]:
        """What the audit tells of the proposal."""
        return {}


D = TypeVar("D", bound=type[Draft])
_drafts: dict[str, type[Draft]] = {}


def register(draft: D) -> D:
    """The app that a kind of settings belongs to says here how it is changed."""
    _drafts[draft.kind] = draft
    return draft


def right_of(change: SettingsChange) -> str:
    return _drafts[change.kind].right


def put_in_use(partner: Partner) -> None:
    """From its first disbursement on. A connection that is switched on does it by itself."""
    if partner.in_use_since is None:
        rows = Partner.objects.filter(pk=partner.pk, in_use_since=None)
        rows.update(in_use_since=timezone.now())


# -- what waits


def waiting(partner: Partner, kind: Kind, about: str = "") -> SettingsChange | None:
    """The change of this very thing that waits for a second person."""
    rows = partner.settings_changes.filter(state=State.WAITING, kind=kind, about=about)
    return rows.select_related("proposed_by").first()


def waiting_at(partner: Partner) -> list[SettingsChange]:
    """The few that wait of a partner, oldest first."""
    rows = partner.settings_changes.filter(state=State.WAITING)
    return list(rows.defer("proposal").select_related("proposed_by").order_by("pk")[:WAITING_SHOWN])


def for_second(user: User) -> QuerySet[SettingsChange]:
    """Those that this person may decide: of others, where they have the right themselves."""
    rows = SettingsChange.objects.filter(state=State.WAITING).exclude(proposed_by=user).order_by()
    rights = {draft.right for draft in _drafts.values()}
    found = (
        access.only(rows.filter(kind__in=_kinds(right)), user, right)
        for right in rights
        if user.has_perm(right)
    )
    return reduce(or_, found, rows.none())


def _kinds(right: str) -> list[str]:
    return [kind for kind, draft in _drafts.items() if draft.right == right]


def who_may_decide(change: SettingsChange) -> list[User]:
    """The first few others who may confirm it."""
    app, _, codename = right_of(change).partition(".")
    roles = with_right(right_of(change))
    at = Q(memberships__partner=change.partner) | Q(memberships__partner=None)
    named = {"content_type__app_label": app, "codename": codename}
    having = Permission.objects.filter(**named)
    held = (
        Q(is_superuser=True) | Q(user_permissions__in=having) | Q(groups__permissions__in=having)
        | at & Q(memberships__role__in=roles)
    )  # fmt: skip
    others = User.objects.filter(held, is_active=True).exclude(pk=change.proposed_by_id)
    return list(others.order_by("username").distinct()[:MANY])


# -- proposing


def submit(draft: Draft, *, by: User, reason: str) -> SettingsChange | str:
    """Do what one person may do alone, and tell it; keep anything else for a second person.

    To be called in a transaction, with the partner locked. Raises NotProposed.
    """
    if not draft.waits():
        return draft.save(by=by, **({"reason": reason} if reason else {}))
    if standing := waiting(draft.partner, draft.kind, draft.about):
        raise NotProposed(
            f"A change of this, proposed by {standing.proposed_by}, waits for a second person "
            "already. Nothing of yours was saved: have that one confirmed, refused or withdrawn "
            "first."
        )
    if not reason:
        raise NotProposed("This waits for a second person: tell them why.", "reason")
    return _proposed(draft, by, reason)


def _proposed(draft: Draft, by: User, reason: str) -> SettingsChange:
    change = SettingsChange.objects.create(
        partner=draft.partner, kind=draft.kind, about=draft.about, reason=reason, proposed_by=by,
        proposal=json.dumps(draft.kept()), difference=draft.difference(), facts=draft.facts(),
    )  # fmt: skip
    _record(change, "proposed", by, reason=reason, **draft.told())
    return change


# -- deciding


@transaction.atomic
def confirm(change: SettingsChange, *, by: User, note: str = "") -> str:
    """Apply it as its page shows it; returns what happened, in words.

    Raises Refusal, and Outdated where `outdate` is to follow; then nothing is changed.
    """
    change = _locked(change)
    _only_a_second_person(change, by)
    draft = _as_proposed(change)
    try:
        with transaction.atomic():
            words = draft.save(
                by=by, proposed_by=change.proposed_by.get_username(), change=change.pk,
                reason=change.reason,
            )  # fmt: skip
    except IntegrityError as error:
        raise Outdated("Somebody else saved something at this moment that rules it out.") from error
    _decide(change, State.APPLIED, by, note)
    _record(change, "confirmed", by, reason=change.reason, note=note,
            proposed_by=change.proposed_by.get_username())  # fmt: skip
    return words


def outdate(change: SettingsChange, *, by: User, words: str) -> None:
    """What can't be applied any more waits no longer."""
    with transaction.atomic():
        change = _locked(change)
        _only_a_second_person(change, by)
        _decide(change, State.OUTDATED, by, words)
        _record(change, "outdated", by, why=words)


@transaction.atomic
def refuse(change: SettingsChange, *, by: User, note: str) -> None:
    change = _locked(change)
    _only_a_second_person(change, by)
    _decide(change, State.REFUSED, by, note)
    _record(change, "refused", by, reason=note)


@transaction.atomic
def withdraw(change: SettingsChange, *, by: User, note: str) -> None:
    """Whoever proposed it takes it back."""
    change = _locked(change)
    if change.proposed_by_id != by.pk:
        raise Refusal("Only whoever proposed it withdraws it. You can refuse it.")
    _decide(change, State.WITHDRAWN, by, note)
    _record(change, "withdrawn", by, reason=note)


def _locked(change: SettingsChange) -> SettingsChange:
    """Ours alone to decide, if nobody has; all that change a partner's settings lock it first."""
    partner = Partner.objects.select_for_update(no_key=True).get(pk=change.partner_id)
    rows = SettingsChange.objects.select_for_update(of=("self",)).select_related("proposed_by")
    now = rows.get(pk=change.pk)
    if now.state != State.WAITING:
        raise Refusal(f"It was decided meanwhile: {now.get_state_display().lower()}.")
    now.partner = partner
    return now


def _only_a_second_person(change: SettingsChange, by: User) -> None:
    if change.proposed_by_id == by.pk:
        raise Refusal("You proposed it: somebody else must decide it.")
    if not by.has_perm(right_of(change), change.partner):
        raise Refusal("You haven't the right to change this yourself.")


def _as_proposed(change: SettingsChange) -> Draft:
    """The change as the page shows it, or Outdated."""
    draft = _drafts[change.kind].again(change, json.loads(change.proposal or "{}"))
    if problem := draft.problem():
        raise Outdated(problem)
    shown = change.difference, change.facts
    if shown != (draft.difference(), draft.facts()):
        raise Outdated("What is saved now isn't what it was when this was proposed.")
    return draft


def _decide(change: SettingsChange, state: State, by: User, note: str) -> None:
    change.state, change.decided_by, change.decided_at = state, by, timezone.now()
    change.decision_note, change.proposal = note[:NOTE_KEPT], None
    # What was typed, secrets and all, is needed no longer.
    change.save(update_fields=["state", "decided_by", "decided_at", "decision_note", "proposal"])


def _record(change: SettingsChange, what: str, by: User, **detail: Any) -> None:
    audit.record(
        f"{NAMES[Kind(change.kind)]} {what}", by=by.get_username(), subject=change,
        partner_code=change.partner.code, change=change.pk, **detail,
    )  # fmt: skip


# As the audit names them.
NAMES = {
    Kind.PARTNER: "partner change",
    Kind.CONNECTION: "Mifos X connection change",
    Kind.PRODUCTS: "loan products change",
    Kind.SHORTCODE: "M-Pesa shortcode change",
    Kind.CONNECTION_ON: "switching the connection on",
    Kind.AUTOMATIC_ON: "switching automatic disbursement on",
}
