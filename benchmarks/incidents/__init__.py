"""Labelled traffic: weeks of many teams with incidents and near-misses from a seed, the truth, a scorer, baselines."""
