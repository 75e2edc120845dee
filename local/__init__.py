"""A laptop's AWS: a pinned emulator, a CodeBuild endpoint that really builds, and their lifecycle.

Nothing in here is ever part of a deployed bundle, and nothing in `control_plane` or `workers`
imports it.
"""
