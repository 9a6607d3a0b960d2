"""A float32 graph put into 8 bits: made ready, calibrated, rewritten, and each layer's share of what that costs."""
