"""The event log as a topic on Kafka, with a spool for when the cluster is away."""
