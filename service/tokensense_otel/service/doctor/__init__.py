"""What is wrong with this install and how to mend it: `checks.py` looks, `examination.py` runs all of them."""
