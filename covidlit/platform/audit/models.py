"""Entries of the audit trail."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.db import models


class Entry(models.Model):
    """Something that somebody did; never changed, never removed (a trigger of the database).

    `chain` is the SHA-256 of the entry and of the entry before, so that a change of either shows.
    """

    number = models.PositiveBigIntegerField(primary_key=True)
    at = models.DateTimeField()
    username = models.CharField(max_length=150)
    action = models.CharField(max_length=40)
    subject = models.CharField(max_length=200, help_text="what it was done to")
    centre = models.CharField(max_length=80, blank=True)
    details = models.JSONField(default=dict)
    chain = models.CharField(max_length=64)

    class Meta:
        ordering = ("-number",)
        verbose_name_plural = "entries"
        indexes = (models.Index(fields=("centre", "number")),)

    def __str__(self) -> str:
        return f"{self.number}: {self.username} {self.action} {self.subject}"

    def hash_after(self, before: str) -> str:
        """The `chain` that the entry has behind one whose `chain` is `before`."""
        content: list[Any] = [
            before, self.number, self.at.isoformat(), self.username, self.action, self.subject,
            self.centre, self.details,
        ]  # fmt: skip
        text = json.dumps(content, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode("ascii")).hexdigest()
