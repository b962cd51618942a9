"""Make a layer, and describe its packages."""
