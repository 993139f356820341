"""The form of a grade: one for both levels, with a button for each decision."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings

from covidlit.platform.accounts.models import User
from covidlit.platform.grading.giving import Judgement, Seen
from covidlit.platform.grading.models import Grade, Level
from covidlit.platform.grading.standing import Standing
from covidlit.platform.grading.waiting import hidden_from

GRADE, EXCLUDE, CONFIRM = "grade", "exclude", "confirm"
OTHER = "other"
"""A reason that the comment gives."""

LABELS = ("quality_grade", "class_name", "severity")


class GradeForm(forms.Form):
    """What a grader says of a scan.

    Args:
        data: as sent; None: nothing was yet.
        seen: what he has before him.
        before: the grade that the fields start from; None: they start empty.
        may_confirm: whether `before` can be confirmed as it is.
    """

    number = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    version = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    decision = forms.ChoiceField(choices=[(each, each) for each in (GRADE, EXCLUDE, CONFIRM)])
    quality_grade = forms.ChoiceField(required=False, label="Quality", widget=forms.RadioSelect)
    class_name = forms.ChoiceField(required=False, label="Class", widget=forms.RadioSelect)
    severity = forms.ChoiceField(required=False, label="Severity", widget=forms.RadioSelect)
    reason = forms.ChoiceField(required=False, label="Reason")
    comment = forms.CharField(
        required=False, max_length=500, widget=forms.Textarea(attrs={"rows": 2})
    )

    def __init__(
        self, data: Any, seen: Seen, before: Grade | None = None, may_confirm: bool = False
    ) -> None:
        initial: dict[str, Any] = dict(seen._asdict())
        if before is not None:
            initial |= {name: getattr(before, name) for name in (*LABELS, "reason")}
        super().__init__(data, initial=initial)
        own = settings.FOLDER.settings.grading
        self._before = before if may_confirm else None
        for name, words in (
            ("quality_grade", own.quality_grades),
            ("class_name", own.classes),
            ("severity", own.severities),
        ):
            if words:
                self._field(name).choices = [(word, word) for word in words]
            else:
                del self.fields[name]
        if "severity" in self.fields:
            self._field("severity").choices = [("", "not assessed"), *self._choices("severity")]
            self.initial.setdefault("severity", "")
        reasons = dict.fromkeys([*own.exclusion_reasons, OTHER])
        self._field("reason").choices = [("", "choose"), *((word, word) for word in reasons)]

    @property
    def labels(self) -> list[forms.BoundField]:
        """The fields of a grade, as far as the platform asks for them."""
        return [self[name] for name in LABELS if name in self.fields]

    @property
    def to_confirm(self) -> Grade | None:
        """The grade that can be confirmed as it is."""
        return self._before

    @property
    def seen(self) -> Seen:
        """What the person had before him when he decided."""
        return Seen(self.cleaned_data["number"], self.cleaned_data["version"])

    @property
    def judgement(self) -> Judgement:
        """What he said."""
        said = {name: self.cleaned_data.get(name, "") for name in Judgement._fields}
        if self.cleaned_data["decision"] == EXCLUDE:
            return Judgement(reason=said["reason"], comment=said["comment"])
        if self.cleaned_data["decision"] == CONFIRM and self._before is not None:
            kept = {name: getattr(self._before, name) for name in ("reason", *LABELS)}
            return Judgement(**kept, comment=said["comment"])
        return Judgement(**{**said, "reason": ""})

    def clean(self) -> dict[str, Any]:
        """Ask for what the decision needs."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        decision = found.get("decision")
        if decision == EXCLUDE and not self.errors.get("reason"):
            if not found.get("reason"):
                self.add_error("reason", "Choose why the scan cannot be used.")
            elif found["reason"] == OTHER and not found.get("comment"):
                self.add_error("comment", "Say in the comment why the scan cannot be used.")
        elif decision == GRADE:
            for name in ("quality_grade", "class_name"):
                if name in self.fields and not found.get(name) and not self.errors.get(name):
                    self.add_error(name, "Choose one.")
        elif decision == CONFIRM and self._before is None:
            self.add_error("decision", "There is no grade before you to confirm.")
        return found

    def _field(self, name: str) -> forms.ChoiceField:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        return field

    def _choices(self, name: str) -> list[Any]:
        return list(self._field(name).choices)


def form_of(data: Any, user: User, standing: Standing, level: Level) -> GradeForm:
    """A form that starts from what a person said before, or from what he is to verify.

    Args:
        data: as sent; None: nothing was yet.
        user: who grades.
        standing: of the scan.
        level: on which.
    """
    before = standing.first if level == Level.FIRST else standing.last
    if hidden_from(user, standing.disease).filter(pk=standing.scan.pk).exists():
        before = None
    return GradeForm(data, Seen.of(standing), before, may_confirm=level == Level.SECOND)
