"""What a classifier answers: predictions, scores, intervals, and the `Classifier` protocol."""
