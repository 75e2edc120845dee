"""What a deployment is, and its front doors. Imported by the workers, never the other way round."""

__version__ = "0.2.0"
