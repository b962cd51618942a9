"""The console: a page and commands that show and control tasks, workflows, schedules and queues.

    app = console_app(read="tasks:read", admin="tasks:admin")    # functions/console/app.py

It reads PostgreSQL, so that it shows the same after a restart. `decant.console.app` serves the page and its JSON
routes, and `decant.console.commands` is the command `python -m decant tasks`. Both use the queries of
`decant.console.queries` and the actions of `decant.console.actions`.
"""
