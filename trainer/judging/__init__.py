"""What an adapter is worth: answers, figures, calibration, the gate."""
