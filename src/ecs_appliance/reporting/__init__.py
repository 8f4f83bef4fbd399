"""Reports to people and programs: status page, alerts, metrics, the dead man's switch."""
