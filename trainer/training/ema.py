"""Keep an exponential moving average of a network's weights."""

from typing import Any

import keras


class ExponentialMovingAverage:
    """A network whose weights follow those of another one that is being trained."""

    def __init__(self, network: keras.Model) -> None:
        """Copy the network with its present weights."""
        # clone_model copies the layers, but draws new weights.
        self.network = keras.models.clone_model(network)
        self.network.set_weights(network.get_weights())
        self._source = network

    def update(self, decay: Any) -> None:
        """Keep `decay` of the average, 0 to 1, and take the rest from the present weights.

        Normalisation's moving statistics are averaged like the weights that they belong to.
        """
        for average, newest in zip(self.network.weights, self._source.weights, strict=True):
            average.assign(decay * average + (1.0 - decay) * newest)
