"""What a deployment is, and its front doors. Workers import it, never the other way round.

From the top: `api`, `use_cases`, `services`, `store`, `rules`; each stands on those below it, and
all on the modules beside them.
"""

__version__ = "0.2.0"
