"""Patients, who they are (apart), their scans, and what was measured on these."""
