"""The launcher as a server: a single-threaded process that a client starts, and forks a worker of per run at a time.

Any program may be the client, whatever threads it has: only the server and its workers fork Python code. Parent side.
"""
