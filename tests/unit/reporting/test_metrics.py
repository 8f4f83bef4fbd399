"""Prometheus' text format."""

from ecs_appliance.reporting.metrics import Sample, render_metrics


def test_samples_are_grouped_with_help_and_type() -> None:
    samples = [Sample("a_seconds", 1, {"name": 'x"\\\n'}), Sample("b", 0.5), Sample("a_seconds", 1764115200)]
    assert render_metrics(samples, {"a_seconds": "A.", "b": "B."}) == (
        "# HELP a_seconds A.\n# TYPE a_seconds gauge\n"
        'a_seconds{name="x\\"\\\\\\n"} 1\na_seconds 1764115200\n'
        "# HELP b B.\n# TYPE b gauge\nb 0.5\n"
    )
