"""Entries can be added, and neither changed nor removed: the database itself refuses."""

from __future__ import annotations

from typing import Any

from django.db import migrations

SQLITE = [
    f"""CREATE TRIGGER audit_entry_no_{event.lower()} BEFORE {event} ON audit_entry
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"""
    for event in ("UPDATE", "DELETE")
] + [
    # INSERT OR REPLACE would remove an entry without a DELETE.
    """CREATE TRIGGER audit_entry_at_the_end BEFORE INSERT ON audit_entry
    WHEN NEW.number <= (SELECT COALESCE(MAX(number), 0) FROM audit_entry)
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"""
]
POSTGRESQL = [
    """CREATE FUNCTION audit_entry_refuse() RETURNS trigger AS $$
    BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$ LANGUAGE plpgsql""",
    """CREATE TRIGGER audit_entry_append_only BEFORE UPDATE OR DELETE ON audit_entry
    FOR EACH ROW EXECUTE FUNCTION audit_entry_refuse()""",
    """CREATE TRIGGER audit_entry_no_truncate BEFORE TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_refuse()""",
]


def make_append_only(apps: Any, schema_editor: Any) -> None:
    """Add the triggers of this kind of database."""
    for statement in POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    """Triggers; there is no way back."""

    dependencies = (("audit", "0001_initial"),)
    operations = (migrations.RunPython(make_append_only),)
