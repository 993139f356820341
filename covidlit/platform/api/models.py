"""Tokens by which programs call the API, and what they have looked at of late."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from django.db import models, transaction
from django.utils import timezone

from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.rights import Right
from covidlit.platform.audit.trail import record

AGAIN = timedelta(hours=1)
"""A token's look is told again after so long."""

TOKEN_SCOPES: dict[str, Right] = {
    "read": Right.VIEW,
    "upload": Right.UPLOAD,
    "identify": Right.IDENTIFY,
    "export": Right.EXPORT,
    "audit": Right.AUDIT,
    "grade_first": Right.GRADE_FIRST,
    "grade_second": Right.GRADE_SECOND,
    "correct": Right.CORRECT,
    "send": Right.SEND,
}
"""What a token may be given; people alone give roles, by their browser."""


class Token(models.Model):
    """Stands for its owner, with some of his rights, until a day; its text is not kept."""

    owner = models.ForeignKey(User, models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=80, help_text="what it is for")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of its text")
    scopes = models.JSONField(default=list, help_text="names in TOKEN_SCOPES")
    made_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, help_text="the last call, to some minutes")
    checked_at = models.FloatField(
        default=0.0, help_text="when its owner's directory last knew him; seconds of the epoch"
    )
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-made_at",)

    def __str__(self) -> str:
        return f"token {self.pk} of {self.owner.get_username()}"

    @property
    def rights(self) -> frozenset[Right]:
        """What it lets its owner do, of what he may at all."""
        return frozenset(TOKEN_SCOPES[name] for name in self.scopes if name in TOKEN_SCOPES)

    @property
    def is_alive(self) -> bool:
        """Whether it still opens anything."""
        well = self.revoked_at is None and self.expires_at > timezone.now()
        return well and bool(self.owner.is_active)

    def note(self, action: str, subject: str, centre: str) -> None:
        """Record a look in the audit trail, unless it has been of late."""
        now = timezone.now()
        key = {"token": self, "subject": f"{action} {subject}", "centre": centre}
        if Look.objects.filter(**key, at__gt=now - AGAIN).exists():
            return
        with transaction.atomic():
            rows = Look.objects.select_for_update()
            look, is_new = rows.get_or_create(**key, defaults={"at": now})
            if not is_new and look.at > now - AGAIN:
                return  # the same token at the same time
            look.at = now
            look.save(update_fields=["at"])
            record(self.owner, action, subject, centre, {"token": self.pk})


class Look(models.Model):
    """When a token's look at something was last told in the audit trail."""

    token = models.ForeignKey(Token, models.CASCADE, related_name="looks")
    subject = models.CharField(max_length=300)
    centre = models.CharField(max_length=80, blank=True)
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("token", "subject", "centre"), name="one_look_of_each")
        ]

    def __str__(self) -> str:
        return f"{self.token_id}: {self.subject}"
