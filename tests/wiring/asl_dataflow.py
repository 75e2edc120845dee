"""Which variables a state can rely on: those that every way to it has assigned.

A small dataflow analysis. What is known on entering a state is the intersection over all ways
into it; a way adds what is assigned on it. For a variable assigned as a literal object the fields
are known too, so that `$changeSet.has_changes` is not read before somebody put it there.
"""

from collections.abc import Callable
from dataclasses import dataclass

from asl_graph import Json, all_ways, expressions, ways_out

Fields = frozenset[str] | None
"""The fields of a variable; None when it was assigned from an expression: nobody can say."""
Known = dict[str, Fields]
Parse = Callable[[list[str]], list[dict[str, list[list[str]]]]]


@dataclass(frozen=True)
class Read:
    """A variable that a state reads, with the fields, and where."""

    state: str
    where: str
    path: tuple[str, ...]


def assigned(assign: Json) -> Known:
    """What an Assign makes known."""
    return {
        name: frozenset(value) if isinstance(value, dict) else None
        for name, value in assign.items()
    }


def both(one: Known, other: Known) -> Known:
    """What is known whichever of two ways was taken."""
    met: Known = {}
    for name in one.keys() & other.keys():
        mine, theirs = one[name], other[name]
        met[name] = theirs if mine is None else mine if theirs is None else mine & theirs
    return met


def known_on_entry(machine: Json) -> dict[str, Known]:
    """For every state that can be reached: what is assigned on every way to it."""
    entry: dict[str, Known] = {machine["StartAt"]: {}}
    elsewhere = {way.target for way in all_ways(machine) if not way.asks_again}
    waiting = [machine["StartAt"]]
    while waiting:
        name = waiting.pop()
        for way in ways_out(name, machine["States"][name]):
            # It leads back here, by asl_rules.busy_asks_again.
            if way.asks_again and way.target in elsewhere:
                continue
            after = entry[name] | assigned(way.assign)
            met = after if way.target not in entry else both(entry[way.target], after)
            if entry.get(way.target) != met:
                entry[way.target] = met
                waiting.append(way.target)
    return entry


def reads(machine: Json, parse: Parse) -> list[Read]:
    """Every variable that is read, but for `$states`, which is Step Functions' own."""
    places = [
        (name, ".".join(path), text)
        for name, state in machine["States"].items()
        for path, text in expressions(state)
    ]
    answers = parse([text for _, _, text in places])
    return [
        Read(name, where, tuple(path))
        for (name, where, _), answer in zip(places, answers, strict=True)
        for path in answer["variables"]
        if path[0] != "states"
    ]


def unassigned_reads(machine: Json, parse: Parse) -> list[str]:
    """Every read of what some way to the state has not assigned.

    All expressions of a state see the variables as they were on entry: an Assign takes effect only
    in the next state (Step Functions guide, "Evaluation order in an Assign field").
    """
    entry = known_on_entry(machine)
    wrong = []
    for read in reads(machine, parse):
        known = entry.get(read.state, {})
        variable, *fields = read.path
        if variable not in known:
            wrong.append(f"{read.state}.{read.where}: ${variable} is not assigned on every way")
            continue
        there = known[variable]
        if fields and there is not None and fields[0] not in there:
            wrong.append(f"{read.state}.{read.where}: ${variable} has no {fields[0]} on every way")
    return wrong


def never_read(machine: Json, parse: Parse) -> set[str]:
    """Variables that are assigned and that nobody reads."""
    names = {
        name
        for state_name, state in machine["States"].items()
        for way in ways_out(state_name, state)
        for name in way.assign
    }
    return names - {read.path[0] for read in reads(machine, parse)}
