"""How long a rollout takes, what it asks of AWS and what it costs, before anybody starts it.

The rules are those that run (`control_plane/rollout_rules`, `rollout_plan`, `slot_rules`); AWS, the
state machine's waiting and the clock are models of them. Never part of a deployed bundle.
"""
