"""What tracing costs: while it is off, at its start, and while it is on."""
