"""Draws the pictures of the README and the site: `make pictures`."""
