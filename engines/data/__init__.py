"""What comes in: files and hub data sets as labelled items, dealt into splits."""
