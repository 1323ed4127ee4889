"""Studies: many paired runs, defined as data, whose results are kept run by run."""
