"""Keeping a platform alive: backups and restoring, migrations, metrics, logs."""
