"""Code that runs inside LocalStack; its main part is the `process` Lambda executor.

`plugin` implements the executor interface of LocalStack's Lambda provider with the environments of `lambda_runtime`.
The other modules add to LocalStack or change it, through its extension points where it has them:

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

LocalStack finds the plug-ins by the entry points in `infra/decant_cloud/emulator_patches/registration`.
`python -m decant_cloud.emulator_patches` starts LocalStack.
"""
