"""A CodeBuild endpoint that really runs builds, for a laptop.

`spec` reads a buildspec, `records` holds what a build is and survives a restart, `project` reads
the project's definition from the emulator, `shell` runs commands, `bundle` moves sources,
artifacts and caches, `logs` streams to CloudWatch Logs, `runner` runs one build, `service` queues
builds and answers requests, `server` speaks CodeBuild's protocol.
"""
