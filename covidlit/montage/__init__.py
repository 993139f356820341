"""Pictures of whole scans at a glance: three planes with orientation and scale, and their page."""
