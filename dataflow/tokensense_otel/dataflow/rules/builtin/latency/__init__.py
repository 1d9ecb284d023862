"""The rule about answers that became slower than there is more to say."""
