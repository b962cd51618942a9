"""`decant pour`: put an existing Flask application into functions of a bundle, with its code unchanged."""
