"""Fuzz every route of the bundle over HTTP: `make fuzz`."""
