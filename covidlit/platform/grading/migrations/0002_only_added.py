"""Grades can be added, and neither changed nor removed: the database itself refuses."""

from __future__ import annotations

from typing import Any

from django.db import migrations

SQLITE = [
    f"""CREATE TRIGGER grading_grade_no_{event.lower()} BEFORE {event} ON grading_grade
    BEGIN SELECT RAISE(ABORT, 'grades are only added'); END"""
    for event in ("UPDATE", "DELETE")
] + [
    # INSERT OR REPLACE would remove a grade without a DELETE.
    """CREATE TRIGGER grading_grade_no_replace BEFORE INSERT ON grading_grade
    WHEN EXISTS (SELECT 1 FROM grading_grade WHERE id = NEW.id
                 OR (scan_id = NEW.scan_id AND disease = NEW.disease AND number = NEW.number))
    BEGIN SELECT RAISE(ABORT, 'grades are only added'); END"""
]
POSTGRESQL = [
    """CREATE FUNCTION grading_grade_refuse() RETURNS trigger AS $$
    BEGIN RAISE EXCEPTION 'grades are only added'; END $$ LANGUAGE plpgsql""",
    """CREATE TRIGGER grading_grade_only_added BEFORE UPDATE OR DELETE ON grading_grade
    FOR EACH ROW EXECUTE FUNCTION grading_grade_refuse()""",
    """CREATE TRIGGER grading_grade_no_truncate BEFORE TRUNCATE ON grading_grade
    FOR EACH STATEMENT EXECUTE FUNCTION grading_grade_refuse()""",
]


def make_only_added(apps: Any, schema_editor: Any) -> None:
    """Add the triggers of this kind of database."""
    for statement in POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    """Triggers; there is no way back."""

    dependencies = (("grading", "0001_initial"),)
    operations = (migrations.RunPython(make_only_added),)
