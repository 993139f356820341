"""What models of times to an event share, and boosted trees of hazards."""
