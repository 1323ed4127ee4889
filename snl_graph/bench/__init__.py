"""``snl-graph bench``: what a nonlocal operator costs here, against everything it replaces."""
