import math

import pytest

from trainer.export.variants import Conversion, Variant, choose_smallest, format_table, make_variant_metrics


def make_candidate(variant: Variant, size_bytes: int, correct: int, difference: float = 0.01) -> Conversion:
    return Conversion(variant, size_bytes, correct, 1000, difference, 0.5)


FLOAT32 = make_candidate(Variant.FLOAT32, 1000, correct=900, difference=0.0)


def test_the_smallest_within_the_margin_is_chosen():
    half = make_candidate(Variant.FLOAT16, 500, correct=900)
    quarter = make_candidate(Variant.DYNAMIC_RANGE, 250, correct=896)
    worse = make_candidate(Variant.INT8, 240, correct=894)

    assert choose_smallest([FLOAT32, half, quarter, worse], margin=0.005) is quarter
    assert choose_smallest([FLOAT32, half, quarter, worse], margin=0.006) is worse
    assert choose_smallest([FLOAT32, half, quarter, worse], margin=0.0) is half


def test_float32_is_chosen_where_every_smaller_one_is_worse():
    assert choose_smallest([FLOAT32, make_candidate(Variant.INT8, 1, correct=1)], margin=0.01) is FLOAT32


def test_a_loss_of_exactly_the_margin_is_within_it_in_spite_of_rounding():
    reference = Conversion(Variant.FLOAT32, 10, 9, 10, 0.0, 0.5)
    one_worse = Conversion(Variant.INT8, 5, 8, 10, 0.1, 0.5)

    assert choose_smallest([reference, one_worse], margin=0.1) is one_worse


def test_a_conversion_that_is_more_accurate_than_float32_is_within_any_margin():
    better = make_candidate(Variant.INT8, 250, correct=910)

    assert choose_smallest([FLOAT32, better], margin=0.0) is better


@pytest.mark.parametrize("difference", [math.nan, math.inf])
def test_a_conversion_whose_logits_are_no_numbers_is_never_chosen(difference):
    broken = make_candidate(Variant.INT8, 1, correct=900, difference=difference)

    assert choose_smallest([FLOAT32, broken], margin=1.0) is FLOAT32


def test_of_two_of_equal_size_the_more_accurate_is_chosen():
    worse, better = (
        make_candidate(Variant.DYNAMIC_RANGE, 250, correct=899),
        make_candidate(Variant.INT8, 250, correct=900),
    )

    assert choose_smallest([FLOAT32, worse, better], margin=0.005) is better


def test_the_metrics_are_every_accuracy_and_the_margin():
    metrics = make_variant_metrics([FLOAT32, make_candidate(Variant.INT8, 250, correct=899)], margin=0.005)

    assert [(metric.name, metric.value, metric.pictures) for metric in metrics] == [
        ("accuracy_float32", 0.9, 1000),
        ("accuracy_int8", 0.899, 1000),
        ("accuracy_margin", 0.005, 1000),
    ]
    assert all(metric.low <= metric.value <= metric.high for metric in metrics)


def test_the_table_stars_the_choice():
    int8 = make_candidate(Variant.INT8, 250, correct=899)

    head, first, second, sentence = format_table([FLOAT32, int8], int8, 0.005).splitlines()

    assert len(head) == len(first) == len(second)
    assert [line[0] for line in (first, second)] == [" ", "*"]
    assert "0.5 points" in sentence
