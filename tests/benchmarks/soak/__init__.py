"""Load on the local cloud while PostgreSQL is killed and frozen: `make soak`."""
