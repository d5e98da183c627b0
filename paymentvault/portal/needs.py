"""What needs a person, as sentences, the most dangerous first."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from urllib.parse import urlencode

from django.conf import settings
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Max, Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from disbursements import cases, initiator_password
from disbursements.pages.filters import RECORDED_WITHIN
from disbursements.pages.notices import hold_words
from mifos.events import WAITED_TOO_LONG
from mifos.polling import POLLED_TOO_LONG_AGO, connections_to_poll
from partners import access
from partners.models import MifosConnection, MpesaShortcode
from paymentvault import chain
from paymentvault.models import Heartbeat, KillSwitch, User
from paymentvault.portal import waiting
from paymentvault.portal.situations import help_for
from paymentvault.portal.waiting import Group

# A sweep counts as late after so many of its intervals.
INTERVALS_MISSED = 3
MOST_HOLDS_NAMED = 6
# Of a shortcode; nothing here needs them, and decrypting takes time.
SECRET_OR_LONG = (
    "consumer_key", "consumer_secret", "initiator_password", "security_credential", "certificate",
    "last_test",
)  # fmt: skip

# How dangerous it is to leave a thing alone; the first stands on top.
NOTHING_GOES, MONEY_IN_QUESTION, MONEY_OUT, BLOCKED, TO_DECIDE, TO_LOOK_AT = range(6)


@dataclass(frozen=True)
class Part:
    """A share of what a sentence counts, and the list of just these."""

    words: str
    url: str


@dataclass(frozen=True)
class Need:
    """One sentence: its linked beginning, how long it has lasted, and what else there is to say."""

    key: str
    danger: int
    tone: str
    link: str
    url: str
    words: str = ""
    lasting: str = ""
    since: datetime | None = None
    parts: list[Part] = field(default_factory=list)
    help: str = ""

    @property
    def help_url(self) -> str:
        return help_for(self.help or self.key)


class Needs:
    """What needs this person, of what this person may see."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.now = timezone.now()
        self.groups = waiting.groups(user)

    @cached_property
    def sentences(self) -> list[Need]:
        looks: list[Callable[[], Iterator[Need]]] = [
            self._stopped, self._audit_broken, self._late_sweeps, self._cases, self._in_doubt,
            self._unrecorded, self._settlements, self._settings, self._shortcodes,
            self._connections, self._failed, self._held, self._awaiting, self._events,
            self._callbacks, self._endpoints,
        ]  # fmt: skip
        found = [need for look in looks for need in look()]
        return sorted(found, key=lambda need: (need.danger, need.since or self.now))

    @cached_property
    def beats(self) -> dict[str, Heartbeat]:
        return {beat.name: beat for beat in Heartbeat.objects.all()}

    @cached_property
    def shortcodes(self) -> list[MpesaShortcode]:
        """The active ones, with nothing of their secrets read."""
        right = "partners.view_mpesashortcode"
        if not self.user.has_perm(right):
            return []
        rows = access.only(MpesaShortcode.objects.all(), self.user, right).filter(
            Q(is_active=True) | ~Q(pause="")
        )
        return list(
            rows.filter(partner__is_active=True)
            .select_related("partner")
            .defer(*SECRET_OR_LONG)
            .order_by("partner__name", "shortcode")
        )  # fmt: skip

    def _of(self, what: str, key: str = "") -> list[Group]:
        return [g for g in self.groups if g.what == what and (not key or g.key == key)]

    def _stopped(self) -> Iterator[Need]:
        if not self.user.has_perm("disbursements.view_disbursement"):
            return
        if switch := KillSwitch.objects.first():
            yield Need(
                "stopped", NOTHING_GOES, "bad", "All payouts are stopped",
                help_for("stop-everything"),
                f"{self._why(switch)}No money moves for anybody; approved disbursements wait.",
                "for", switch.stopped_at, help="stop-everything",
            )  # fmt: skip

    def _why(self, switch: KillSwitch) -> str:
        """Who stopped payouts and why, which may be about one partner, is the platform's."""
        if not access.is_everywhere(self.user, "disbursements.view_disbursement"):
            return ""
        return f"{switch.stopped_by} stopped them: {switch.reason} "

    def _audit_broken(self) -> Iterator[Need]:
        if not self.user.has_perm("paymentvault.view_auditevent"):
            return
        if (check := self.beats.get("check_audit")) and check.found:
            lines = urlencode({"act": chain.BROKEN})
            yield Need(
                "audit-broken", MONEY_IN_QUESTION, "bad", "The audit's chain does not fit",
                f"{reverse('admin:paymentvault_auditevent_changelist')}?{lines}",
                "Somebody changed the audit, or what guards it, past this system. "
                "Touch nothing in the database, and call whoever runs it and your auditor.",
                "seen last", check.at, help="the-audit",
            )  # fmt: skip

    def _late_sweeps(self) -> Iterator[Need]:
        if not access.is_everywhere(self.user, "disbursements.view_disbursement"):
            return
        if late := late_sweeps(self.now, self.beats):
            names = ", ".join(name.replace("_", " ") for name in late)
            seen = [at for at in late.values() if at]
            yield Need(
                "late-sweep", NOTHING_GOES, "bad",
                _counted(len(late), "sweep is late", "sweeps are late"), help_for("late-sweep"),
                f"Workers or beat may be down; nothing is lost, payouts wait. Late: {names}.",
                "the last one ran before" if seen else "", min(seen, default=None),
            )  # fmt: skip

    def _cases(self) -> Iterator[Need]:
        for group in self._of("case"):
            about_money = group.key in cases.MONEY_IN_QUESTION
            known = cases.KINDS.get(group.key)
            label = known.label if known else group.key.replace("_", " ").capitalize()
            number = _counted(group.count, "open case", "open cases")
            yield Need(
                f"case-{group.key}", MONEY_IN_QUESTION if about_money else TO_DECIDE,
                "bad" if about_money else "warn", f"{number}: {label}",
                _list("cases:list", kind=group.key),
                "Money may have moved where it should not. Nothing more is sent for it."
                if about_money else "",
                _oldest([group]), group.since, help=group.key,
            )  # fmt: skip

    def _in_doubt(self) -> Iterator[Need]:
        if found := self._of("disbursement", "in_doubt"):
            yield Need(
                "in_doubt", MONEY_IN_QUESTION, "warn", f"{_count(found)} in doubt",
                _list("disbursements:list", status="in_doubt"),
                "Money may have moved. M-Pesa is asked by itself; don't pay it by another way.",
                _oldest(found), _since(found),
            )  # fmt: skip

    def _unrecorded(self) -> Iterator[Need]:
        """Each is unrecorded for some seconds; it is said once one has been so for minutes."""
        found = self._of("unrecorded")
        if found and _since(found) < self.now - RECORDED_WITHIN:
            yield Need(
                "unrecorded", MONEY_OUT, "warn", f"{_count(found)} paid but not recorded",
                _list("disbursements:list", view="unrecorded"),
                "The borrowers have the money; Mifos X doesn't show it yet. Never pay them again.",
                _oldest(found), _since(found), help="paid",
            )  # fmt: skip

    def _settlements(self) -> Iterator[Need]:
        if found := self._of("settlement"):
            number = _counted(_count(found), "settlement waits", "settlements wait")
            yield Need(
                "settlement", MONEY_OUT, "warn", f"{number} for a second person",
                _list("disbursements:list", view="settlements"),
                "Check the evidence, then confirm or refuse it.", _oldest(found), _since(found),
            )  # fmt: skip

    def _settings(self) -> Iterator[Need]:
        if found := self._of("setting"):
            number = _counted(_count(found), "change", "changes")
            verb = "waits" if _count(found) == 1 else "wait"
            yield Need(
                "setting", TO_DECIDE, "warn", f"{number} of settings {verb} for a second person",
                _list("changes:list", state="waiting"),
                "Nothing has changed yet. Check with the lender, then confirm or refuse.",
                _oldest(found), _since(found), help="settings-change",
            )  # fmt: skip

    def _shortcodes(self) -> Iterator[Need]:
        for shortcode in self.shortcodes:
            page = reverse("shortcodes:detail", args=[shortcode.partner.code, shortcode.pk])
            name = f"{shortcode.shortcode} of {shortcode.partner}"
            if shortcode.is_paused:
                yield Need(
                    f"paused-{shortcode.pk}", BLOCKED, "bad", f"Shortcode {name} is paused", page,
                    f"{shortcode.pause_reason} Nothing is sent from it; approved disbursements "
                    "wait.",
                    "for", shortcode.paused_at, help="shortcode-paused",
                )  # fmt: skip
            age = initiator_password.age_of(shortcode)
            if age.tone != "ok":
                yield Need(
                    f"password-{shortcode.pk}", BLOCKED if age.tone == "bad" else TO_DECIDE,
                    age.tone, f"The initiator's password of {name}: {age.words}", page,
                    f"{age.ends_on:%-d %B %Y} is its last day. Then Safaricom refuses every "
                    "payout.", help="initiator-password",
                )  # fmt: skip

    def _connections(self) -> Iterator[Need]:
        right = "partners.view_partner"
        if not self.user.has_perm(right):
            return
        for connection in access.only(_ailing_connections(self.now), self.user, right):
            page = reverse("partners:detail", args=[connection.partner.code])
            said = f" It said: {connection.last_error}" if connection.last_error else ""
            if connection.failing_since:
                yield Need(
                    f"failing-{connection.pk}", BLOCKED, "bad",
                    f"{connection} doesn't answer", page,
                    f"Its loans are neither read nor recorded meanwhile.{said}",
                    "for", connection.failing_since, help="connection-failing",
                )  # fmt: skip
            else:
                yield Need(
                    f"late-{connection.pk}", BLOCKED, "warn", f"{connection} isn't polled",
                    page, f"Loans whose hook was lost are not found meanwhile.{said}",
                    "for", connection.polled_at or connection.switched_on_at, help="poll-late",
                )  # fmt: skip

    def _failed(self) -> Iterator[Need]:
        if found := self._of("disbursement", "failed"):
            yield Need(
                "failed", TO_DECIDE, "bad", f"{_count(found)} failed",
                _list("disbursements:list", status="failed"),
                "No money moved, unless a case says otherwise. Retry what can be put right, cancel "
                "the rest.",
                _oldest(found), _since(found),
            )  # fmt: skip

    def _held(self) -> Iterator[Need]:
        if found := self._of("disbursement", "held"):
            yield Need(
                "held", TO_DECIDE, "warn", f"{_count(found)} held",
                _list("disbursements:list", status="held"), "Nothing is paid meanwhile.",
                _oldest(found), _since(found), parts=_by_hold(found),
            )  # fmt: skip

    def _awaiting(self) -> Iterator[Need]:
        if found := self._of("awaiting"):
            number = _counted(_count(found), "awaits", "await")
            yield Need(
                "awaiting_approval", TO_DECIDE, "wait", f"{number} your approval",
                _list("disbursements:list", view="mine"), "",
                _oldest(found), _since(found),
            )  # fmt: skip

    def _events(self) -> Iterator[Need]:
        if found := self._of("event", "unreadable"):
            number = _counted(_count(found), "message", "messages")
            yield Need(
                "unreadable-event", TO_LOOK_AT, "warn", f"{number} of Mifos X can't be read",
                _list("events:list", state="unreadable", since=waiting.told_from().isoformat()),
                "In the last seven days. Polling finds an approved loan all the same.",
                _oldest(found), _since(found),
            )  # fmt: skip
        waits = self._of("event", "waiting")
        if waits and _since(waits) < self.now - WAITED_TOO_LONG:
            number = _counted(_count(waits), "message of Mifos X waits", "messages of Mifos X wait")
            yield Need(
                "events-waiting", BLOCKED, "warn", number, _list("events:list", state="waiting"),
                "What they tell has changed no payout yet. They are tried again by themselves.",
                _oldest(waits), _since(waits),
            )  # fmt: skip

    def _callbacks(self) -> Iterator[Need]:
        for state, words in (
            ("unmatched", "to no request of ours"),
            ("unreadable", "that can't be read"),
        ):
            if found := self._of("callback", state):
                number = _counted(_count(found), "callback", "callbacks")
                yield Need(
                    f"{state}-callback", TO_LOOK_AT, "warn", f"{number} {words}",
                    _list("callbacks:list", state=state, since=waiting.told_from().isoformat()),
                    "In the last seven days. Where one named a payout, M-Pesa was asked about it.",
                    _oldest(found), _since(found),
                )  # fmt: skip

    def _endpoints(self) -> Iterator[Need]:
        """Those that were switched off by themselves; what a person switched off, they know."""
        for group in self._of("endpoint"):
            code, _, name = group.key.partition(" ")
            is_one = group.count == 1
            number = _counted(group.count, f"endpoint of {name} was", f"endpoints of {name} were")
            yield Need(
                f"endpoint-{code}", TO_DECIDE, "warn",
                f"{number} switched off by {'itself' if is_one else 'themselves'}",
                reverse("deliveries:list", args=[code]),
                "The partner's system took nothing for days, or said that the address is gone. It "
                "is told nothing meanwhile; payouts go on.",
                "failing for" if is_one else "the first failing for", group.since, help="programs",
            )  # fmt: skip


def late_sweeps(
    now: datetime, known: dict[str, Heartbeat] | None = None
) -> dict[str, datetime | None]:
    """The sweepers that haven't ended a run for three of their intervals, and their last end.

    One that never ran is waited for since beat first had it to call: right after the start
    nothing is late, and what never comes is told all the same.
    """
    if known is None:
        known = {beat.name: beat for beat in Heartbeat.objects.all()}
    schedule = settings.CELERY_BEAT_SCHEDULE
    set_up_at = now if known.keys() >= schedule.keys() else _migrated_at() or now
    late = {}
    for name, entry in schedule.items():
        beat = known.get(name) or Heartbeat(name=name, expected_since=set_up_at)
        longest = timedelta(seconds=INTERVALS_MISSED * entry["schedule"])
        if (beat.at or beat.expected_since) < now - longest:
            late[name] = beat.at
    return late


def _migrated_at() -> datetime | None:
    """When the system was last set up, where beat itself has never told that it began."""
    applied = MigrationRecorder.Migration.objects.aggregate(at=Max("applied"))
    at: datetime | None = applied["at"]
    return at


def _ailing_connections(now: datetime) -> QuerySet[MifosConnection]:
    """Those that don't answer, and those that weren't polled to the end for long."""
    long_ago = now - POLLED_TOO_LONG_AGO
    unpolled = Q(polled_at__lt=long_ago) | Q(polled_at=None)
    return (
        connections_to_poll()
        .filter(Q(failing_since__isnull=False) | unpolled & Q(switched_on_at__lt=long_ago))
        .select_related("partner")
        .only(
            "failing_since", "polled_at", "switched_on_at", "last_error", "partner__name",
            "partner__code",
        )
    )  # fmt: skip


def _by_hold(found: list[Group]) -> list[Part]:
    """How many are held for what; one that is held for two things counts for both."""
    counts: Counter[str] = Counter()
    for group in found:
        for hold in group.holds or []:
            counts[hold] += group.count
    return [
        Part(f"{count} since {hold_words([hold])}",
             _list("disbursements:list", status="held", hold=hold))
        for hold, count in counts.most_common(MOST_HOLDS_NAMED)
    ]  # fmt: skip


def _list(name: str, **query: str) -> str:
    return f"{reverse(name)}?{urlencode(query)}"


def _count(found: list[Group]) -> int:
    return sum(group.count for group in found)


def _since(found: list[Group]) -> datetime:
    return min(group.since for group in found)


def _oldest(found: list[Group]) -> str:
    return "for" if _count(found) == 1 else "the oldest for"


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
