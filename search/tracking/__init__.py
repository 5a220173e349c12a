"""Trackers that mirror a study: MLflow, TensorBoard."""
