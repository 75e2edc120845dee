"""How long a regular expression may take, before it is used: `re` has no time limit.

Pure. A backtracking matcher tries, in the worst case, every run of the pattern's automaton over the
text (Weideman et al., "Analyzing matching time behavior of backtracking regular expression matchers
by using ambiguity of NFA", 2016). Two runs that part and meet again in the same state with the same
text are the only way in which their number multiplies: where that happens inside of a loop, the
time is exponential and the pattern is refused; where a loop is left, each one adds a power of the
text's length, and the text is bounded. What is not known exactly is taken for the worse.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

STEPS = 2_000_000_000
"""Steps that one comparison may take in the worst case. They are overestimated by far: measured,
the worst of them takes three seconds (tests/unit/test_unit_pattern_cost.py)."""

SHORTEST = 64
"""Characters that a pattern must be able to take: with a smaller bound it is refused."""

LONGEST = 10_000_000
"""Where the search for the bound of a text ends: no configuration is that long."""

STATES, WORK = 10_000, 2_000_000
"""States of a pattern, and pairs of transitions that are looked at for all patterns of a schema
(some seconds), before they count as too large to be checked."""

COPIES = 64
"""States to which a count such as `{32}` is spelled out; more is taken for a loop."""

_KNOWN = 0x300
"""Up to here it is looked up which characters are letters, digits and spaces; above, any may be."""

Ranges = tuple[tuple[int, int], ...]
_LAST = 0x10FFFF


class UnsafePattern(Exception):
    """A pattern that may take too long, or of which nobody can say; the message says why."""


class Budget:
    """The work that the check of some patterns may take, together."""

    def __init__(self, work: int = WORK) -> None:
        self._left = work

    def take(self, work: int) -> None:
        """Raise UnsafePattern when all is used up."""
        self._left -= work
        if self._left < 0:
            raise UnsafePattern("is too large to be checked, with the patterns before it")


def longest_text(pattern: str, budget: Budget | None = None) -> int:
    """How many characters a pattern can be compared with in STEPS, in the worst case.

    Raises UnsafePattern for one that must not be used at all, re.error for one that is none.
    """
    parsed = _parser.parse(pattern)
    steps = _steps(parsed, parsed.state.flags, budget or Budget(), is_search=True)
    low, high = 0, LONGEST
    while low < high:
        middle = (low + high + 1) // 2
        if sum(factor * middle**power for factor, power in steps) <= STEPS:
            low = middle
        else:
            high = middle - 1
    if low < SHORTEST:
        raise UnsafePattern(
            f"can take too long for a text of {SHORTEST} characters: too many of its repetitions "
            "can match the same text"
        )
    return low


def _steps(items: Any, flags: int, budget: Budget, *, is_search: bool) -> list[tuple[int, int]]:
    """The steps for a text of n characters: a sum of factor * n ** power."""
    automaton = _Automaton(budget)
    whole = automaton.sequence(items, flags)
    automaton.follow[0] = whole.first
    factor, power = automaton.runs()
    states = len(automaton.sets)
    factor *= states
    if automaton.loops:
        power += 1
    else:
        factor *= states
    if is_search and not _is_anchored(items, flags):
        power += 1
    found = [(factor, power)]
    for inner in automaton.asserted:  # at each of these steps, at worst
        found += [(factor * more, power + higher) for more, higher in inner]
    return found


def _is_anchored(items: Any, flags: int) -> bool:
    """Whether a match can begin at the text's begin only."""
    for kind, value in items:
        if kind is op.AT:
            at_begin = value is op.AT_BEGINNING and not flags & re.MULTILINE
            return bool(at_begin or value is op.AT_BEGINNING_STRING)
        if kind is op.SUBPATTERN:
            return _is_anchored(value[3], (flags | value[1]) & ~value[2])
        if kind is op.BRANCH:
            return all(_is_anchored(branch, flags) for branch in value[1])
        return False
    return False


@dataclass
class _Part:
    """A part of a pattern: the states that it can begin and end with, each with the number of ways
    there, and the number of ways through it without a character."""

    first: Counter[int] = field(default_factory=Counter)
    last: Counter[int] = field(default_factory=Counter)
    empty: int = 0


def _times(states: Counter[int], ways: int) -> Counter[int]:
    return Counter({state: ways * count for state, count in states.items() if ways})


class _Automaton:
    """The automaton of a pattern (Glushkov): a state for each character of it; 0 is the begin.

    `follow`: the states after a state, with the number of ways.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.sets: list[Ranges] = [()]
        self.follow: list[Counter[int]] = [Counter()]
        self.asserted: list[list[tuple[int, int]]] = []
        self.loops = False
        self._numbers: dict[Ranges, int] = {(): 0}  # equal sets have the same number
        self._kinds = [0]
        self._overlaps: dict[tuple[int, int], bool] = {}

    # Building -------------------------------------------------------------------------------------

    def sequence(self, items: Any, flags: int) -> _Part:
        """One part after the other."""
        whole = _Part(empty=1)
        for kind, value in items:
            whole = self._joined(whole, self._part(kind, value, flags))
        return whole

    def _part(self, kind: Any, value: Any, flags: int) -> _Part:
        if kind in _CHARACTERS:
            return self._state(_ranges(kind, value, flags))
        if kind is op.SUBPATTERN:
            return self.sequence(value[3], (flags | value[1]) & ~value[2])
        if kind is op.ATOMIC_GROUP:
            return self.sequence(value, flags)
        if kind is op.BRANCH:
            return self._either([self.sequence(branch, flags) for branch in value[1]])
        if kind is op.GROUPREF_EXISTS:
            found = [self.sequence(branch or [], flags) for branch in value[1:]]
            return self._either(found)
        if kind is op.GROUPREF:  # which text that is depends on the text
            return self._looped(self._state(((0, _LAST),)), least=0)
        if kind in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
            least, most, inner = value
            return self._repeated(least, most, inner, flags)
        if kind in (op.ASSERT, op.ASSERT_NOT):
            self.asserted.append(_steps(value[1], flags, self._budget, is_search=False))
        elif kind not in (op.AT, op.FAILURE, op.SUCCESS):
            raise UnsafePattern(f"has a part that is not known: {kind}")
        return _Part(empty=1)

    def _state(self, characters: Ranges) -> _Part:
        if len(self.sets) >= STATES:
            raise UnsafePattern("is too large to be checked")
        self.sets.append(characters)
        self._kinds.append(self._numbers.setdefault(characters, len(self._numbers)))
        self.follow.append(Counter())
        state = len(self.sets) - 1
        return _Part(Counter([state]), Counter([state]))

    def _joined(self, one: _Part, other: _Part) -> _Part:
        self._connect(one.last, other.first)
        return _Part(
            one.first + _times(other.first, one.empty),
            other.last + _times(one.last, other.empty),
            one.empty * other.empty,
        )

    def _connect(self, last: Counter[int], first: Counter[int]) -> None:
        self._budget.take(len(last) * len(first))
        for state, ways in last.items():
            self.follow[state] += _times(first, ways)

    def _either(self, parts: Sequence[_Part]) -> _Part:
        whole = _Part()
        for part in parts:
            whole.first.update(part.first)
            whole.last.update(part.last)
            whole.empty += part.empty
        return whole

    def _repeated(self, least: int, most: Any, items: Any, flags: int) -> _Part:
        if most == 0:
            return _Part(empty=1)
        is_one = len(items) == 1 and items[0][0] in _CHARACTERS
        before = len(self.sets)
        built = [self.sequence(items, flags)]

        def body() -> _Part:
            return built.pop() if built else self.sequence(items, flags)

        rest = most if most is op.MAXREPEAT else most - least
        if is_one and least <= COPIES:  # [a-z]{2,}: its first ones, and then a loop
            rest = op.MAXREPEAT if rest > 1 else rest
        elif most is op.MAXREPEAT or most * max(1, len(self.sets) - before) > COPIES:
            return self._looped(body(), least)
        tail = _Part(empty=1)
        if rest is op.MAXREPEAT:
            tail = self._looped(body(), least=0)
        else:
            for _ in range(rest):
                tail = self._either([self._joined(body(), tail), _Part(empty=1)])
        for _ in range(least):
            tail = self._joined(body(), tail)
        return tail

    def _looped(self, body: _Part, least: int) -> _Part:
        if body.empty:
            raise UnsafePattern("repeats what may be empty: nobody can say how often")
        self.loops = True
        self._connect(body.last, body.first)
        return _Part(body.first, body.last, 0 if least else 1)

    # Runs -----------------------------------------------------------------------------------------

    def runs(self) -> tuple[int, int]:
        """The number of runs to one state with one text of n characters: factor * n ** power.

        Raises UnsafePattern when it is exponential.
        """
        loop_of = self._loops_of_states()
        forks = [self._forks(state) for state in range(len(self.sets))]
        edges, meets, meets_inside = self._pairs(forks, loop_of)
        can_meet = _reaching(edges, meets)
        inside = {
            pair: {after for after in found if self._is_inside(after, loop_of)}
            for pair, found in edges.items()
            if self._is_inside(pair, loop_of)
        }
        can_meet_inside = _reaching(inside, meets_inside)
        choices: dict[int, int] = {}
        for state, following in enumerate(self.follow):
            loop = loop_of[state]
            parting = Counter[int]({after: ways for after, ways in following.items() if ways > 1})
            if any(loop and loop_of[after] == loop for after in parting):
                raise _exponential()
            for pair in forks[state]:
                if pair in can_meet:
                    parting.update({after: following[after] for after in pair})
                if loop and loop_of[pair[0]] == loop and pair in can_meet_inside:
                    raise _exponential()
            if parting:
                choices[state] = sum(following[after] for after in parting)
        return self._worst_path(loop_of, choices)

    def _forks(self, state: int) -> list[tuple[int, int]]:
        """The pairs of states after a state that one character can lead to."""
        pairs = combinations(sorted(self.follow[state]), 2)
        return [pair for pair in pairs if self._overlap(*pair)]

    def _pairs(
        self, forks: Sequence[Sequence[tuple[int, int]]], loop_of: Sequence[int]
    ) -> tuple[Any, Any, Any]:
        """Pairs of states that two runs can be in after the same text: the pairs that follow each,
        those whose runs can meet next, and those whose runs can meet without leaving their loop."""
        edges: dict[tuple[int, int], set[tuple[int, int]]] = {}
        meets, meets_inside = set[tuple[int, int]](), set[tuple[int, int]]()
        waiting = [pair for found in forks for pair in found]
        while waiting:
            pair = waiting.pop()
            if pair in edges:
                continue
            after = edges[pair] = set()
            for one in self.follow[pair[0]]:
                for other in self.follow[pair[1]]:
                    if one == other:
                        meets.add(pair)
                        if self._is_inside(pair, loop_of) and loop_of[one] == loop_of[pair[0]]:
                            meets_inside.add(pair)
                    elif self._overlap(one, other):
                        after.add((min(one, other), max(one, other)))
            waiting += after
        return edges, meets, meets_inside

    @staticmethod
    def _is_inside(pair: tuple[int, int], loop_of: Sequence[int]) -> bool:
        return bool(loop_of[pair[0]]) and loop_of[pair[0]] == loop_of[pair[1]]

    def _overlap(self, one: int, other: int) -> bool:
        """Whether one character can lead to either state."""
        self._budget.take(1)
        key = (self._kinds[one], self._kinds[other])
        found = self._overlaps.get(key)
        if found is None:
            found = self._overlaps[key] = any(
                low <= high_of and low_of <= high
                for low, high in self.sets[one]
                for low_of, high_of in self.sets[other]
            )
        return found

    def _loops_of_states(self) -> list[int]:
        """The loop that each state is in (a strongly connected component), or 0 (Tarjan, without
        recursion). Loops are numbered so that one is followed by lower numbers only."""
        count = len(self.sets)
        index, low, found = [0] * count, [0] * count, [0] * count
        self._order: list[list[int]] = []
        stack: list[int] = []
        on_stack, number = set[int](), 0
        calls: list[tuple[int, Iterator[int]]] = []
        for start in range(count):
            if index[start]:
                continue
            calls.append((start, iter(())))
            while calls:
                state, left = calls.pop()
                if not index[state]:
                    number += 1
                    index[state] = low[state] = number
                    stack.append(state)
                    on_stack.add(state)
                    left = iter(self.follow[state])
                for after in left:
                    if not index[after]:
                        calls += [(state, left), (after, iter(()))]
                        break
                    if after in on_stack:
                        low[state] = min(low[state], index[after])
                else:
                    if low[state] == index[state]:
                        members = list[int]()
                        while not members or members[-1] != state:
                            members.append(stack.pop())
                            on_stack.discard(members[-1])
                        self._order.append(members)
                        if len(members) > 1 or state in self.follow[state]:
                            for member in members:
                                found[member] = len(self._order)
                    if calls:
                        caller = calls[-1][0]
                        low[caller] = min(low[caller], low[state])
        return found

    def _worst_path(self, loop_of: Sequence[int], choices: dict[int, int]) -> tuple[int, int]:
        """The largest product of choices, and the largest number of loops with a choice, on a way
        through the automaton."""
        factors, powers = [1] * len(self.sets), [0] * len(self.sets)
        for members in self._order:  # what follows comes before
            after = {one for state in members for one in self.follow[state]} - {*members}
            factor = max((factors[one] for one in after), default=1)
            power = max((powers[one] for one in after), default=0)
            chosen = sum(choices.get(state, 0) for state in members)
            if chosen:
                factor *= chosen * len(members)
                power += bool(loop_of[members[0]])
            for state in members:
                factors[state], powers[state] = factor, power
        return factors[0], powers[0]


def _exponential() -> UnsafePattern:
    return UnsafePattern(
        "can take for ever: a repetition in it can match the same text in more than one way, as in "
        "(a+)+; write it so that each part begins with a character that the one before cannot have"
    )


def _reaching(
    edges: dict[tuple[int, int], set[tuple[int, int]]], ends: Iterable[tuple[int, int]]
) -> set[tuple[int, int]]:
    """The pairs from which one of `ends` is reached."""
    before: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for pair, following in edges.items():
        for after in following:
            before.setdefault(after, []).append(pair)
    found, waiting = set[tuple[int, int]](), list(ends)
    while waiting:
        pair = waiting.pop()
        if pair not in found:
            found.add(pair)
            waiting += before.get(pair, [])
    return found


# Characters ---------------------------------------------------------------------------------------

_CHARACTERS = (op.LITERAL, op.NOT_LITERAL, op.IN, op.ANY)

_CATEGORIES = {
    op.CATEGORY_DIGIT: r"\d", op.CATEGORY_NOT_DIGIT: r"\D", op.CATEGORY_SPACE: r"\s",
    op.CATEGORY_NOT_SPACE: r"\S", op.CATEGORY_WORD: r"\w", op.CATEGORY_NOT_WORD: r"\W",
}  # fmt: skip


def _ranges(kind: Any, value: Any, flags: int) -> Ranges:
    """The characters that a part may match: these, or fewer."""
    if kind is op.ANY:
        return _without([(10, 10)]) if not flags & re.DOTALL else ((0, _LAST),)
    items = value if kind is op.IN else [(op.LITERAL, value)]
    is_negated = kind is op.NOT_LITERAL or items[0][0] is op.NEGATE
    exact: list[tuple[int, int]] = []
    known: list[tuple[int, int]] = []
    for what, of in items:
        if what is op.LITERAL:
            exact.append((of, of))
        elif what is op.RANGE:
            exact.append(of)
        elif what is op.CATEGORY:
            known += _category(of, bool(flags & re.ASCII))
    if is_negated:
        return _without(exact + known)
    above = [(_KNOWN, _LAST)] if known or flags & re.IGNORECASE else []
    if flags & re.IGNORECASE:
        letters = {chr(c) for low, high in exact for c in range(low, min(high, _KNOWN) + 1)}
        cases = {other for one in letters for other in (one.lower(), one.upper())}
        exact += [(ord(one), ord(one)) for one in cases if len(one) == 1]
    return tuple(exact + known + above)


@lru_cache
def _category(category: Any, is_ascii: bool) -> list[tuple[int, int]]:
    """What is known of a category: its characters below _KNOWN."""
    fits = re.compile(_CATEGORIES[category], re.ASCII if is_ascii else 0).match
    return [(c, c) for c in range(_KNOWN) if fits(chr(c))]


def _without(ranges: Sequence[tuple[int, int]]) -> Ranges:
    """All characters but these."""
    found, begin = list[tuple[int, int]](), 0
    for low, high in sorted(ranges):
        if low > begin:
            found.append((begin, low - 1))
        begin = max(begin, high + 1)
    if begin <= _LAST:
        found.append((begin, _LAST))
    return tuple(found)
