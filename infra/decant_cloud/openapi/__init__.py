"""The OpenAPI document of all functions, derived from their Flask apps.

views     what one view accepts, returns and raises, read from its annotations, docstrings and source
document  the document of all routes: paths, parameters, bodies, responses, examples
"""
