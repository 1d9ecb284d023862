"""What is held back, and until when: silences, acknowledgements and maintenance windows."""
