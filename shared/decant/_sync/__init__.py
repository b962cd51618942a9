"""One bridge between synchronous code and the event loop, in greenlets and in worker threads.

Requests and tasks share it. Synchronous code awaits through `await_()` in both, and everything that it awaits runs in
the asyncio task that waits for it.
"""
