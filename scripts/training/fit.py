"""Fits a network to pictures in memory: AdamW, a cosine schedule, new light and noise each time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

Loss = Callable[[tf.Tensor, list[tf.Tensor]], tf.Tensor]


@dataclass(frozen=True)
class Course:
    """How long and how fast to learn."""

    epochs: int
    batch: int
    rate: float
    decay: float = 0.02
    warmup_steps: int = 200


def fit(
    model: keras.Model,
    pictures: npt.NDArray[np.uint8],
    targets: npt.NDArray[np.float32],
    loss: Loss,
    course: Course,
) -> None:
    """Train in place. pictures: (n, height, width). targets: whatever `loss` takes, per picture."""
    steps = len(pictures) // course.batch
    schedule = keras.optimizers.schedules.CosineDecay(
        course.rate / 20,
        steps * course.epochs - course.warmup_steps,
        warmup_target=course.rate,
        warmup_steps=course.warmup_steps,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=course.decay, clipnorm=5.0)
    optimizer.build(model.trainable_variables)

    @tf.function(jit_compile=False)
    def step(seen: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            outputs = model(other_light(seen), training=True)
            value = loss(wanted, outputs if isinstance(outputs, list) else [outputs])
        gradients = tape.gradient(value, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return value

    rng = np.random.default_rng(0)
    for epoch in range(course.epochs):
        started = time.monotonic()
        order = rng.permutation(len(pictures))[: steps * course.batch].reshape(steps, -1)
        values = [float(step(pictures[rows], targets[rows])) for rows in order]
        seconds = time.monotonic() - started
        print(f"epoch {epoch + 1}/{course.epochs}: loss {np.mean(values):.4f}, {seconds:.0f} s")


def other_light(pictures: tf.Tensor) -> tf.Tensor:
    """uint8 (n, h, w) to float (n, h, w, 1) in 0 to 1, with another exposure and some noise."""
    each = (tf.shape(pictures)[0], 1, 1, 1)
    x = tf.cast(pictures, tf.float32)[..., None] / 255
    x = x * tf.random.uniform(each, 0.7, 1.4) + tf.random.uniform(each, -0.05, 0.1)
    x += tf.random.normal(tf.shape(x)) * tf.random.uniform(each, 0, 0.025)
    return tf.clip_by_value(x, 0, 1)


def one_class(wanted: tf.Tensor, outputs: list[tf.Tensor]) -> tf.Tensor:
    """Cross entropy of probabilities (n, classes) with labels (n, 1), smoothed by 0.03."""
    probabilities = outputs[0]
    classes = probabilities.shape[-1]
    soft = tf.one_hot(tf.cast(wanted[:, 0], tf.int32), classes) * 0.97 + 0.03 / classes
    return -tf.reduce_mean(tf.reduce_sum(soft * tf.math.log(probabilities + 1e-7), axis=-1))
