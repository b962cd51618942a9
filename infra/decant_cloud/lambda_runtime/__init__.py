"""Lambda execution environments as local processes that run AWS's runtime client; independent of the emulator.

From the outside in:

    environment        one execution environment: phases, faults, log lines
    function           the function, and the command and environment of its process
    isolation          read-only code and a private /tmp, where the machine allows it
    runtime            one process of the runtime client: calls, output, end
    runtime_api        the Lambda Runtime API
    invocation_errors  error responses, in AWS's formats
    import_errors      file and line of an error at import
    reports            Lambda's own log lines
    sources            detects changed source files
    debugging          a function that waits for a debugger
    log_file           all log lines in one file, for followers
"""
