"""What trains, scores and serves models, and analyses their answers. Never imports `labtui` or Textual."""
