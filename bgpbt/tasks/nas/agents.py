"""The agents of `-t nas` by name. A new one is a function and a line here."""

from collections.abc import Callable

from bgpbt.config.options import Options
from bgpbt.networks.dueling import DuelingNetwork
from bgpbt.networks.recurrent import RecurrentActorCritic
from bgpbt.tasks.nas.design import Rules
from bgpbt.tasks.nas.designer import Designer, Step, World, only_decide
from bgpbt.tasks.nas.dqn import Agent as QAgent
from bgpbt.tasks.nas.dqn import dqn
from bgpbt.tasks.nas.meta_a2c import Agent as MetaAgent
from bgpbt.tasks.nas.meta_a2c import meta_a2c
from bgpbt.tasks.nas.trial import as_the_reference_learns
from bgpbt.tasks.nas.uniform import uniform
from bgpbt.types import Array

# How an agent is made, from its world.
Make = Callable[[World], Designer]


def _meta_a2c(options: Options, rules: Rules) -> Make:
    network = RecurrentActorCritic(rules.actions.number)
    greedy = options.evaluate_only == "greedy"
    forgets = options.quirks != "fixed"
    if options.quirks != "reference":
        return lambda world: meta_a2c(MetaAgent(network, world, greedy, forgets))

    def learnt_from(window: Step, targets: Array) -> Array:
        return as_the_reference_learns(window.seen, window.happened.over, targets)

    return lambda world: meta_a2c(
        MetaAgent(network, world, greedy, forgets=True, learnt_from=learnt_from)
    )


def _dqn(options: Options, rules: Rules) -> Make:
    network = DuelingNetwork(rules.actions.number)
    greedy = options.evaluate_only != "sampled"
    return lambda world: dqn(QAgent(network, world, options.exploration_steps, greedy))


def _uniform(options: Options, rules: Rules) -> Make:
    terminal = len(rules.actions.layers) - 1
    return lambda world: uniform(world, terminal)


AGENTS: dict[str, Callable[[Options, Rules], Make]] = {
    "meta_a2c": _meta_a2c,
    "dqn": _dqn,
    "uniform": _uniform,
}


def agent_of(options: Options, rules: Rules) -> Make:
    """The agent that the options name, who may learn or not."""
    make = AGENTS[options.alg_name](options, rules)
    if options.evaluate_only is None:
        return make

    def frozen(world: World) -> Designer:
        designer = make(world)
        return designer._replace(update=only_decide(designer.decide))

    return frozen
