"""Who may do what at which partner."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from partners.models.partner import Partner
from paymentvault.row_history import of_rows


class Role(models.TextChoices):
    """What somebody may do; `partners.access` says it in rights."""

    VIEWER = "viewer", "Viewer"
    OPERATOR = "operator", "Operator (maker)"
    APPROVER = "approver", "Approver (checker)"
    PARTNER_ADMINISTRATOR = "partner_administrator", "Partner administrator"
    ADMINISTRATOR = "administrator", "Administrator, of the platform"
    AUDITOR = "auditor", "Auditor, of the platform"


PLATFORM_ROLES = [Role.ADMINISTRATOR, Role.AUDITOR]


class Membership(models.Model):
    """A role that somebody has at a partner, or across the platform."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    partner = models.ForeignKey(
        Partner, models.PROTECT, null=True, blank=True, related_name="memberships",
        help_text="Empty only for the platform's own roles.",
    )  # fmt: skip
    role = models.CharField(max_length=25, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        triggers = of_rows(leaving_out=("created_at",))
        constraints = [
            models.UniqueConstraint(
                name="a_role_is_given_once",
                fields=["user", "partner", "role"],
                nulls_distinct=False,
                violation_error_message="This person has that role already.",
            ),
            models.CheckConstraint(
                name="a_role_is_a_partners_or_the_platforms",
                condition=Q(role__in=PLATFORM_ROLES, partner__isnull=True)
                | (~Q(role__in=PLATFORM_ROLES) & Q(partner__isnull=False)),
                violation_error_message="A platform's role has no partner; every other needs one.",
            ),
        ]

    def __str__(self) -> str:
        where = f" at {self.partner}" if self.partner_id else ""
        return f"{self.user}: {self.get_role_display()}{where}"
