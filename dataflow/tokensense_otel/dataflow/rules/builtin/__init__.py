"""The rules that come with TokenSense, one file each."""
