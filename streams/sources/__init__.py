"""Where events come from besides Kafka: file adapters, public data sets and the simulated shop."""
