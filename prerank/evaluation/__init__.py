"""How good an exported model is on labelled rows: metrics, slices, calibration, drift, and two models side by side."""
