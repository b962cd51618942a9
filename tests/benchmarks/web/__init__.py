"""The bridge against its peers: `make bench-web`."""
