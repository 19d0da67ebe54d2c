"""Anything may befall a small network in any order; once it is quiet, all is as it should be."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from lab.routing.invariants import check_all
from lab.routing.simulation import Network, service

MAX_SITES = 6
numbers = st.integers(0, 1000)
costs = st.integers(1, 3)


class Churn(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 2**32), sites=st.integers(2, 4))
    def begin(self, seed, sites):
        self.network = Network(seed)
        for _ in range(sites):
            self.add_site()
        for number in range(sites - 1):
            self.network.add_link(f"s{number}", f"s{number + 1}")

    def running(self):
        return [name for name, site in self.network.sites.items() if site.is_running]

    def crashed(self):
        return [name for name, site in self.network.sites.items() if not site.is_running]

    def pick(self, names, number):
        return names[number % len(names)]

    def pick_link(self, number):
        return self.pick(list(self.network.links.values()), number)

    @precondition(lambda self: len(self.network.sites) < MAX_SITES)
    @rule()
    def add_site(self):
        self.network.add_site(f"s{len(self.network.sites)}")

    @rule(a=numbers, b=numbers, cost=costs, cost_back=costs)
    def add_link(self, a, b, cost, cost_back):
        names = list(self.network.sites)
        ends = self.pick(names, a), self.pick(names, b)
        if ends[0] != ends[1] and frozenset(ends) not in self.network.links:
            self.network.add_link(*ends, cost=cost, cost_back=cost_back)

    @rule(number=numbers)
    def cut(self, number):
        self.network.cut(*self.pick_link(number).ends)

    @rule(number=numbers)
    def join(self, number):
        self.network.join(*self.pick_link(number).ends)

    @rule(number=numbers, is_reversed=st.booleans())
    def block_one_way(self, number, is_reversed):
        a, b = self.pick_link(number).ends
        self.network.block(*((b, a) if is_reversed else (a, b)))

    @rule(a=numbers, b=numbers)
    def half_open(self, a, b):
        ends = self.pick(self.running(), a), self.pick(list(self.network.sites), b)
        if ends[0] != ends[1] and frozenset(ends) not in self.network.links:
            self.network.half_open(*ends)

    @rule(number=numbers)
    def heal(self, number):
        self.network.heal(*self.pick_link(number).ends)

    @rule(size=st.integers(1, MAX_SITES - 1), is_silent=st.booleans())
    def partition(self, size, is_silent):
        self.network.partition(list(self.network.sites)[:size], is_silent=is_silent)

    @rule()
    def heal_all(self):
        self.network.heal_all()

    @rule(number=numbers, times=st.sampled_from([1, 3, 10]))
    def flap(self, number, times):
        self.network.flap(*self.pick_link(number).ends, times=times, interval=0.1)

    @rule(number=numbers, end=st.integers(0, 1), cost=costs)
    def set_cost(self, number, end, cost):
        link = self.pick_link(number)
        self.network.set_cost(link.ends[end], link.ends[1 - end], cost)

    @rule(number=numbers, ports=st.frozensets(st.integers(1, 3)))
    def expose(self, number, ports):
        name = self.pick(list(self.network.sites), number)
        self.network.set_services(name, [service(f"db:{port}") for port in ports])

    @rule(number=numbers)
    def unexpose(self, number):
        self.network.set_services(self.pick(list(self.network.sites), number), [])

    @rule(number=numbers, is_transit=st.booleans())
    def set_transit(self, number, is_transit):
        name = self.pick(list(self.network.sites), number)
        self.network.set_transit(name, is_transit=is_transit)

    @rule(number=numbers, seconds=st.sampled_from([0.2, 1.0, 5.0, 60.0, 300.0]))
    def jump(self, number, seconds):
        self.network.jump(self.pick(self.running(), number), seconds)

    @rule(number=numbers, seconds=st.sampled_from([0.2, 2.0, 30.0]), clock_stood=st.booleans())
    def sleep(self, number, seconds, clock_stood):
        name = self.pick(self.running(), number)
        self.network.stop(name)
        self.network.run(seconds)
        self.network.resume(name, clock_stood=clock_stood)

    @precondition(lambda self: len(self.running()) > 1)
    @rule(number=numbers, in_order=st.booleans())
    def end(self, number, in_order):
        name = self.pick(self.running(), number)
        if in_order:
            self.network.leave(name)
        else:
            self.network.crash(name)

    @precondition(lambda self: self.crashed())
    @rule(number=numbers, lost_state=st.booleans(), new_key=st.booleans())
    def start(self, number, lost_state, new_key):
        name = self.pick(self.crashed(), number)
        self.network.start(name, lost_state=lost_state, new_key=new_key)

    @rule(number=numbers)
    def renew(self, number):
        name = self.pick(self.running(), number)
        self.network.sites[name].keyring.renew(expose=["*", f"x{number}"])
        self.network.renewed(name)

    @rule(seconds=st.sampled_from([0.001, 0.01, 0.05, 0.3, 1.0]))
    def wait(self, seconds):
        self.network.run(seconds)

    @rule()
    def settle(self):
        self.network.settle()
        check_all(self.network)

    def teardown(self):
        if hasattr(self, "network"):
            self.settle()


TestChurn = Churn.TestCase
TestChurn.settings = settings(max_examples=150, stateful_step_count=25)
