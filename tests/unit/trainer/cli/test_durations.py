import click
import pytest

from trainer.cli.durations import Duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90.0), ("20m", 1200.0), ("1h30m", 5400.0), ("0.5h", 1800.0), ("2m5s", 125.0)],
)
def test_a_time_is_read_as_people_write_it(text, seconds):
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "20", "0s", "m", "-5m", "5m1h", "1 day"])
def test_what_is_not_a_time_is_refused_with_an_example(text):
    with pytest.raises(click.BadParameter, match="20m or 1h30m"):
        Duration().convert(text, None, None)
