"""What JailPy costs, measured side by side with its peers: `python -m benchmarks`. No part of the package."""
