"""Print BORIS's own time budget of one observation as JSON; run with its Python.

    python boris_time_budget.py PROJECT.boris OBSERVATION

BORIS's package starts its window on import, and its video player is looked for; neither
is needed here, so the package is entered beside its first module, without a player.
Exits with 3 where BORIS is not installed.
"""

import importlib.machinery
import json
import os
import sys
import types
from decimal import Decimal
from pathlib import Path


def main(project: str, observation: str) -> None:
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    found = importlib.machinery.PathFinder.find_spec("boris")
    if found is None:
        sys.exit(3)
    package = types.ModuleType("boris")
    package.__path__ = list(found.submodule_search_locations)
    player = types.ModuleType("boris.mpv2")
    player.dll = ""
    sys.modules |= {"boris": package, "boris.mpv2": player}
    from boris import db_functions, time_budget_functions

    text = Path(project).read_text(encoding="utf-8")
    content = json.loads(text, parse_float=Decimal)  # as BORIS opens it
    subjects = [each["name"] for each in content["subjects_conf"].values()]
    behaviours = [each["code"] for each in content["behaviors_conf"].values()]
    cursor = db_functions.load_events_in_db(
        content, subjects, [observation], behaviours
    )
    length = content["observations"][observation]["media_info"]["length"]
    budget, _ = time_budget_functions.time_budget_analysis(
        content["behaviors_conf"],
        cursor,
        [observation],
        {
            "selected subjects": subjects,
            "selected behaviors": behaviours,
            "include modifiers": True,
            "exclude behaviors": True,
            "start time": Decimal("0"),
            "end time": Decimal(str(max(length.values()))),
        },
    )
    print(json.dumps(budget, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
