"""Fitting weights: batches, checkpoints, the course of a training, LoRA, the trainers of Hugging Face."""
