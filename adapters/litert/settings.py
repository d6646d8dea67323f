"""Keras on TensorFlow, whose converter makes the models of LiteRT; ImportError where Keras has another backend."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..keras.settings import BACKEND

if BACKEND != "tensorflow":
    raise ImportError(f"Keras on {BACKEND}: this adapter converts by TensorFlow; KERAS_BACKEND=tensorflow says so")

keras: Any = import_module("keras")
tensorflow: Any = import_module("tensorflow")
