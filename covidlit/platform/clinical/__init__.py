"""Laboratory values and events of the platform's patients, and how ill a model says they are."""
