"""People, the centres and study groups that they work for, and what their roles let them do."""
