"""Rules about caches: of answers, and the provider's of prompts."""
