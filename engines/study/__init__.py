"""What the results of finished runs say: statistics, comparisons and warnings.

`python -m engines.study HOME` serves them to the console.
"""
