"""Changes of settings, which wait for a second person."""

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from fernet_fields import EncryptedTextField

from partners.models.partner import Partner
from paymentvault.guards import never_truncated


class SettingsChange(models.Model):
    """A change of settings that one person proposed and another one decides.

    `partners.changes` says what waits for a second person and how it is applied.
    """

    class Kind(models.TextChoices):
        PARTNER = "partner", "The partner’s limits"
        CONNECTION = "connection", "Mifos X connection"
        PRODUCTS = "products", "Loan products"
        SHORTCODE = "shortcode", "M-Pesa shortcode"
        CONNECTION_ON = "connection_on", "Switching the connection on"
        AUTOMATIC_ON = "automatic_on", "Switching automatic disbursement on"

    class State(models.TextChoices):
        WAITING = "waiting", "Waits for a second person"
        APPLIED = "applied", "Applied"
        REFUSED = "refused", "Refused"
        WITHDRAWN = "withdrawn", "Withdrawn"
        OUTDATED = "outdated", "Outdated"

    partner = models.ForeignKey(Partner, models.PROTECT, related_name="settings_changes")
    kind = models.CharField(max_length=15, choices=Kind.choices)
    about = models.CharField(
        max_length=80, blank=True, help_text="The row, such as partners.mpesashortcode:7; empty "
        "for one that is to be added.",
    )  # fmt: skip
    proposal = EncryptedTextField(
        null=True, help_text="What was typed, as JSON, with new secrets; gone once it is decided."
    )
    difference = models.JSONField(help_text="What the second person sees: label, from, to.")
    facts = models.JSONField(
        default=list, help_text="The set-up that a switch is about, as the second person sees it."
    )
    reason = models.CharField(max_length=300)
    proposed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="settings_proposed"
    )
    proposed_at = models.DateTimeField(auto_now_add=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    is_waiting = models.GeneratedField(
        expression=Q(state="waiting"),  # type: ignore[arg-type]
        output_field=models.BooleanField(),
        db_persist=True,
    )
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="settings_decided"
    )
    decided_at = models.DateTimeField(null=True)
    decision_note = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["-is_waiting", "-id"], name="settings_changes_waiting")]
        triggers = [
            pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
            never_truncated,
            pgtrigger.Protect(
                name="begins_waiting",
                operation=pgtrigger.Insert,
                condition=pgtrigger.Condition("NEW.state <> 'waiting'"),
            ),
            pgtrigger.Protect(
                name="what_was_proposed_stays",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(
                    "partner", "kind", "about", "difference", "facts", "reason", "proposed_by",
                    "proposed_at",
                ),
            ),
            pgtrigger.Protect(
                name="proposal_is_only_emptied",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "NEW.proposal IS NOT NULL AND NEW.proposal IS DISTINCT FROM OLD.proposal"
                ),
            ),
            pgtrigger.Protect(
                name="decided_for_good",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition("OLD.state <> 'waiting'"),
            ),
        ]  # fmt: skip
        constraints = [
            models.CheckConstraint(
                name="settings_change_by_two_people",
                condition=Q(state="waiting", decided_by__isnull=True, decided_at__isnull=True)
                | Q(
                    state="withdrawn", decided_by=F("proposed_by"), decided_at__isnull=False
                )
                | Q(
                    state__in=["applied", "refused", "outdated"], decided_by__isnull=False,
                    decided_at__isnull=False,
                )
                & ~Q(decided_by=F("proposed_by")),
            ),
            models.CheckConstraint(
                name="proposal_kept_only_while_it_waits",
                condition=Q(state="waiting", proposal__isnull=False)
                | (~Q(state="waiting") & Q(proposal__isnull=True)),
            ),
            models.UniqueConstraint(
                name="one_waiting_change_of_a_thing",
                fields=["partner", "kind", "about"],
                condition=Q(state="waiting"),
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.partner}: {self.get_kind_display()}"

    @property
    def is_switch(self) -> bool:
        return self.kind in (self.Kind.CONNECTION_ON, self.Kind.AUTOMATIC_ON)
