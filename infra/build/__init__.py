"""What builds and checks the bundle: the layer, the templates."""
