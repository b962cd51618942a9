"""What runs inside LocalStack: above all the `process` Lambda executor.

It is one OS process per execution environment, running AWS's own runtime client. From the outside in:

    plugin         what LocalStack loads, and its Lambda provider's interface on our environment
    environment    one execution environment: its phases, its faults, its log lines
    function       what it runs, and how its process is started
    import_errors  file and line of an error at import
    isolation      its code read-only and /tmp its own, where the machine lets us
    runtime        one process of the runtime client: its calls, its output, its end
    calls          the HTTP of the Runtime API
    faults         how each way to fail is told, in AWS's shapes
    reports        the lines that Lambda itself writes into the log
    sources        has a source file changed since the process started?
    debugging      a function that waits for a debugger
    journal        every log line, in one file that others follow

Of these, only `plugin` knows LocalStack; the others run and are tested without it. Beside them stands what we add to
LocalStack or change in it, through its own extension points where it has one:

    access         which requests the gateway rejects, because a web page can send them
    server         the gateway, on loopback alone
    http_server    the HTTP server for it
    identities     ids of APIs that stay the same
    invocations    client context, limits of events
    event_sources  queues polled as Lambda polls them
    log_streams    log lines, each with its time
    timers         one thread for those of all environments
    economies      what it does at each invocation for nobody
    stack_updates  stacks updated in place, and back when that fails
    resources      updates of resources that it has none for

    quick_start    what it need not do to start

LocalStack finds the plug-ins through the entry points in `infra/local/registration`; `python -m infra.local.executor`
starts it.
"""
