"""Write the days of the full moons of this century, by their mean distance, as JSON.

python3 moons.py OUTPUT
"""

import json
import sys
from datetime import date, timedelta
from pathlib import Path

FIRST = date(2000, 1, 21)
MEAN_LUNATION_DAYS = 29.530588


def full_moons() -> list[str]:
    """ISO dates from 2000 to 2099, oldest first."""
    days = (FIRST + timedelta(days=round(n * MEAN_LUNATION_DAYS)) for n in range(1_240))
    return [day.isoformat() for day in days if day.year < 2_100]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(full_moons()))
