import math

import pytest

from trainer.export.variants import Conversion, Variant, choose_smallest, format_table, make_variant_metrics


def candidate(variant: Variant, size_bytes: int, right: int, difference: float = 0.01) -> Conversion:
    return Conversion(variant, size_bytes, right, 1000, difference, 0.5)


FLOAT32 = candidate(Variant.FLOAT32, 1000, right=900, difference=0.0)


def test_the_smallest_within_the_margin_is_kept():
    half = candidate(Variant.FLOAT16, 500, right=900)
    quarter = candidate(Variant.DYNAMIC_RANGE, 250, right=896)
    worse = candidate(Variant.INT8, 240, right=894)

    assert choose_smallest([FLOAT32, half, quarter, worse], margin=0.005) is quarter
    assert choose_smallest([FLOAT32, half, quarter, worse], margin=0.006) is worse
    assert choose_smallest([FLOAT32, half, quarter, worse], margin=0.0) is half


def test_float32_is_kept_where_every_smaller_one_is_worse():
    assert choose_smallest([FLOAT32, candidate(Variant.INT8, 1, right=1)], margin=0.01) is FLOAT32


def test_a_margin_is_met_exactly_in_spite_of_rounding():
    reference = Conversion(Variant.FLOAT32, 10, 9, 10, 0.0, 0.5)
    one_worse = Conversion(Variant.INT8, 5, 8, 10, 0.1, 0.5)

    assert choose_smallest([reference, one_worse], margin=0.1) is one_worse


def test_a_network_that_is_more_accurate_than_float32_counts_as_within():
    better = candidate(Variant.INT8, 250, right=910)

    assert choose_smallest([FLOAT32, better], margin=0.0) is better


@pytest.mark.parametrize("difference", [math.nan, math.inf])
def test_logits_that_are_no_numbers_are_never_kept(difference):
    broken = candidate(Variant.INT8, 1, right=900, difference=difference)

    assert choose_smallest([FLOAT32, broken], margin=1.0) is FLOAT32


def test_of_two_equally_large_the_more_accurate_is_kept():
    one, other = candidate(Variant.DYNAMIC_RANGE, 250, right=899), candidate(Variant.INT8, 250, right=900)

    assert choose_smallest([FLOAT32, one, other], margin=0.005) is other


def test_the_manifest_gets_every_accuracy_and_the_margin():
    metrics = make_variant_metrics([FLOAT32, candidate(Variant.INT8, 250, right=899)], margin=0.005)

    assert [(found.name, found.value, found.pictures) for found in metrics] == [
        ("accuracy_float32", 0.9, 1000),
        ("accuracy_int8", 0.899, 1000),
        ("accuracy_margin", 0.005, 1000),
    ]
    assert all(found.low <= found.value <= found.high for found in metrics)


def test_the_table_marks_what_is_kept():
    int8 = candidate(Variant.INT8, 250, right=899)

    head, first, second, sentence = format_table([FLOAT32, int8], int8, 0.005).splitlines()

    assert len(head) == len(first) == len(second)
    assert [line[0] for line in (first, second)] == [" ", "*"]
    assert "0.5 points" in sentence
