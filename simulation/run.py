"""A simulation: a scenario in, what came of it out. The same scenario comes to the same."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from control_plane import naming
from control_plane.models import Mode, Priority
from simulation.deployment import Deployment, job
from simulation.driver import Driver
from simulation.scenario import Scenario
from simulation.world import World


@dataclass(frozen=True)
class Outcome:
    """What a simulation leaves behind."""

    scenario: Scenario
    world: World
    driver: Driver


def run(scenario: Scenario, *, trace: bool = False) -> Outcome:
    """Simulate. `trace`: keep the states of each execution (much for many tenants).

    Raises InvalidRequest for waves that the rollout's own plan refuses, KeyError for a quota of
    something that is no request.
    """
    world = World(scenario, trace=trace)
    driver = Driver(world)
    world.clock.start(driver.process())
    for priority, an_hour in (
        (Priority.NORMAL, scenario.others),
        (Priority.URGENT, scenario.urgent),
    ):
        if an_hour:
            world.clock.start(_others(world, priority, an_hour))
    world.clock.run()
    return Outcome(scenario, world, driver)


def _others(world: World, priority: Priority, an_hour: float) -> Iterator[float]:
    """Deployments that somebody starts, now and then, until the rollout is over."""
    chance = Random(f"{world.scenario.seed}/{priority}")
    number = 0
    while True:
        yield chance.expovariate(an_hour / 3600)
        if world.rollout_ended:
            return
        number += 1
        org = f"{priority}{number:05d}"
        name = naming.id_of(org, world.clock.time)
        asked = job(world, name, org, priority, Mode.FULL, by_rollout=False)
        world.clock.start(Deployment(world, asked).process())
