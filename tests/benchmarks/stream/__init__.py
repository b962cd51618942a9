"""Streamed responses, compared with buffered ones and with a web server in a second process."""
