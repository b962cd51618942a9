"""Code that runs inside LocalStack; its main part is the `process` Lambda executor.

An execution environment is one OS process that runs AWS's runtime client. From the outside in:

    plugin         implements the executor interface of LocalStack's Lambda provider
    environment    one execution environment: phases, faults, log lines
    function       the function, and the command and environment of its process
    isolation      read-only code and a private /tmp, where the machine allows it
    runtime        one process of the runtime client: calls, output, end
    calls          the Runtime API
    faults         error responses, in AWS's formats
    import_errors  file and line of an error at import
    reports        Lambda's own log lines
    sources        detects changed source files
    debugging      a function that waits for a debugger
    journal        all log lines in one file, for followers

Only `plugin` uses LocalStack; the others run and are tested without it. The modules below add to LocalStack or change
it, through its extension points where it has them:

    server         the gateway on loopback only
    access         rejects requests that web pages can send
    http_server    the HTTP server of the gateway
    identities     ids of APIs that stay the same
    invocations    client context, size limits of events
    event_sources  polls queues as Lambda does
    log_streams    log lines with their own timestamps
    timers         one thread for the timers of all environments
    economies      omits work that no user of the local cloud needs
    stack_updates  updates stacks in place, with rollback
    resources      updates of resources that LocalStack cannot update
    quick_start    omits work at start

LocalStack finds the plug-ins by the entry points in `infra/local/registration`.
`python -m infra.local.executor` starts LocalStack.
"""
