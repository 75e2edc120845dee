"""The API: routes to use cases, errors to HTTP."""
