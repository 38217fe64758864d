"""The agents: each binds one store of `online_models` to its topics and does nothing else."""
