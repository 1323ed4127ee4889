"""Reference networks, their data and their training; run from a checkout, not installed."""
