"""The `process` Lambda executor: one OS process per execution environment, running AWS's own runtime client.

Runs inside LocalStack, which finds it through the entry point in `plugin/`. From the outside in:

    plugin         what LocalStack loads, and its Lambda provider's interface on our environment
    environment    one execution environment: its phases, its faults, its log lines
    runtime        one process of the runtime client: its calls, its output, its end
    calls          the HTTP of the Runtime API
    faults         how each way to fail is told, in AWS's shapes
    sources        has a source file changed since the process started?
    journal        every log line, in one file that others follow

Only `plugin` knows LocalStack; everything else runs and is tested without it.
"""
