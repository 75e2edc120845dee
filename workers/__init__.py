"""The steps of a deployment: one module per subject, one function and one role each."""
