"""How quick the local cloud is: `make bench-local`."""
