"""How many workers a pool should have: pure functions from what is seen to a target and its reason.

    observation  what is seen of a pool at one moment; None is unknown, which never reads as zero
    rules        the settings of a pool's scaling
    checking     rules that do not go together
    policies     each makes of an observation how many workers it would like, and why: a `Wish`
    guards       what holds of every policy: bounds, cooldowns, the way to zero, money, orders
    decision     `decide` asks the policy and applies the guards

    decide(policy_of(rules), rules, seen, memory, now) -> Decision(target, why, memory)

`memory` is what the last decision handed on, `Memory()` before the first; it is plain data and can
be stored as JSON. Times are Unix seconds. Decisions may come at any pace, and need not be evenly
spaced: every span is measured in seconds.
"""
