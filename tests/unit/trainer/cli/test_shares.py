import click
import pytest

from trainer.cli.shares import Share


@pytest.mark.parametrize(
    ("text", "share"),
    [("10", 0.1), ("10%", 0.1), (" 12.5 % ", 0.125), ("0", 0.0), ("100%", 1.0), ("0.5%", 0.005)],
)
def test_a_percentage_is_read_as_people_write_it(text, share):
    assert Share().convert(text, None, None) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "ten", "-5", "101", "10%%"])
def test_what_is_not_a_percentage_is_refused_with_an_example(text):
    with pytest.raises(click.BadParameter, match="write 10%"):
        Share().convert(text, None, None)


def test_a_fraction_that_may_mean_two_things_is_refused_with_both():
    with pytest.raises(click.BadParameter, match=r"may be 0\.1% or 10%"):
        Share().convert("0.1", None, None)
