"""One run from data to report: the runner, its steps, its checks and how it ends."""
