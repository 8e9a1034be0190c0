from pathlib import Path

from trainer.data.fingerprint import fingerprint_data, fingerprint_values


def test_data_is_known_by_hashes_and_labels_and_not_by_their_order():
    fingerprint = fingerprint_data(["a", "b", "c"], ["happy", "sad", "sad"])

    assert fingerprint == fingerprint_data(["c", "a", "b"], ["sad", "happy", "sad"])
    assert fingerprint != fingerprint_data(["a", "b", "c"], ["happy", "happy", "sad"])
    assert fingerprint != fingerprint_data(["a", "b"], ["happy", "sad"])
    assert len(fingerprint) == 64


def test_values_are_known_whatever_the_order_of_their_keys_and_paths_by_their_text():
    fingerprint = fingerprint_values({"seed": 1, "out": Path("out")})

    assert fingerprint == fingerprint_values({"out": "out", "seed": 1})
    assert fingerprint != fingerprint_values({"out": "out", "seed": 2})
    assert len(fingerprint) == 64
