"""Six models that name the phase a host is in, and the baselines beside them."""
