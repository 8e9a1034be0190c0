"""Measure predictions: metrics with intervals, calibration, coverage, comparison."""
