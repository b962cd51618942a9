"""Code that runs inside the engine, the emulator of AWS: plug-ins and patches for LocalStack and LocalEmu.

`python -m decant_cloud.emulator_patches` starts the engine. `engine` describes both engines and names their package;
`start` lists the patches and checks that they fit the engine's version. Each patch is a module that documents what it
changes in which file of the engine, relative to its package, why, and what it gains:

    access, server, http_server   the gateway on loopback only, without requests that web pages can send
    plugin, log_streams           functions as processes of `lambda_runtime`, and their logs
    invocations, async_events     limits, client context, no invocation lost to an update
    event_sources                 queues polled as by Lambda
    api_ids                       ids of APIs that stay the same
    stack_updates                 stacks updated in place, with rollback
    resource_updates              resources updated in place
    custom_resource               custom resources
    response_streams              responses streamed by API Gateway
    binary_media_types            bodies that API Gateway passes on unchanged
    direct_invocations, metrics, request_records, resource_waits, timers, update_threads, quick_start,
    managed_policies, services, template_visits    less work
    preparation                   work of the first start, done by the installation

The engine finds the plug-ins by the entry points in `registration`.
"""
